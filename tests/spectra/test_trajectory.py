"""Spectra of trajectories have peaks and areas of known oscillators, and errors that are right."""

import numpy as np
import pytest
from ase import units

from oscillators import oscillators
from reann.errors import UserError
from reann.spectra import from_trajectory
from reann.spectra.constants import CM_PER_FS, KM_PER_MOL, PER_CM_IN_VOLUME
from reann.spectra.correlation import Window, autocorrelation, narrowest_width
from reann.spectra.intensities import raman_activity, raman_invariants

TEMPERATURE, TIMESTEP, N_TIMES = 320.0, 1.0, 20_000
WAVENUMBERS = np.array([400.0, 1600.0, 3300.0])
DIPOLE_SLOPES = np.array([[0.5, 0.1, 0.0], [0.0, 0.9, -0.2], [0.1, 0.2, 0.3]])
"""e u^-1/2."""
RAMAN_SLOPES = np.array(
    [np.diag([1.0, 2.0, 4.0]), [[0, 2, 0], [2, 0, 1], [0, 1, 0]], np.eye(3)], dtype=float
)
"""Å^2 u^-1/2."""


@pytest.fixture(scope="module")
def coordinates():
    rng = np.random.default_rng(1)
    return oscillators(WAVENUMBERS, N_TIMES, TIMESTEP, TEMPERATURE, rng)


def areas(spectrum, curve, half=150.0):
    """Return the areas of the lines of a curve, and where they are highest."""
    step = spectrum.wavenumbers[1] - spectrum.wavenumbers[0]
    near = np.abs(spectrum.wavenumbers - WAVENUMBERS[:, None]) < half
    highest = [spectrum.wavenumbers[own][curve.values[own].argmax()] for own in near]
    return (near * curve.values).sum(1) * step, np.array(highest)


def test_infrared_lines_are_where_oscillators_are_and_have_their_intensities(coordinates):
    dipoles = coordinates @ DIPOLE_SLOPES
    spectrum = from_trajectory(TIMESTEP, TEMPERATURE, dipoles=dipoles)
    found, highest = areas(spectrum, spectrum.infrared)
    np.testing.assert_allclose(highest, WAVENUMBERS, atol=1.0)
    np.testing.assert_allclose(found, KM_PER_MOL * (DIPOLE_SLOPES**2).sum(1), rtol=0.01)
    assert spectrum.raman is None


def test_raman_lines_have_the_activities_of_the_harmonic_approximation(coordinates):
    polarizabilities = np.einsum("tm,mxy->txy", coordinates, RAMAN_SLOPES)
    spectrum = from_trajectory(TIMESTEP, TEMPERATURE, polarizabilities=polarizabilities)
    invariants = raman_invariants(RAMAN_SLOPES)
    found, highest = areas(spectrum, spectrum.raman)
    np.testing.assert_allclose(highest, WAVENUMBERS, atol=1.0)
    np.testing.assert_allclose(found, raman_activity(*invariants), rtol=0.01)
    isotropic, _ = areas(spectrum, spectrum.isotropic)
    np.testing.assert_allclose(isotropic, 45 * invariants[0], rtol=0.01, atol=0.02)


def test_lines_are_gaussians_of_the_stated_width(coordinates):
    spectrum = from_trajectory(
        TIMESTEP, TEMPERATURE, dipoles=coordinates @ DIPOLE_SLOPES, width=40.0
    )
    values = spectrum.infrared.values
    middle = np.abs(spectrum.wavenumbers - 1600.0) < 100.0
    x = spectrum.wavenumbers[middle] - 1600.0
    gaussian = values[middle].max() * np.exp(-4 * np.log(2) * (x / 40.0) ** 2)
    np.testing.assert_allclose(values[middle], gaussian, atol=0.02 * gaussian.max())


def test_a_current_gives_the_spectrum_of_its_dipole(coordinates):
    dipoles = coordinates @ DIPOLE_SLOPES
    exact = (np.roll(dipoles, -1, 0) - np.roll(dipoles, 1, 0))[1:-1] / 2  # per fs
    omega = 2 * np.pi * CM_PER_FS * WAVENUMBERS
    whole = from_trajectory(TIMESTEP, TEMPERATURE, currents=exact)
    found, _ = areas(whole, whole.infrared)
    transfer = np.sinc(omega / np.pi) ** 2  # of a difference over two steps of 1 fs
    np.testing.assert_allclose(found, KM_PER_MOL * (DIPOLE_SLOPES**2).sum(1) * transfer, rtol=0.01)


def test_a_volume_makes_an_absorption_coefficient(coordinates):
    dipoles = coordinates @ DIPOLE_SLOPES
    molar = from_trajectory(TIMESTEP, TEMPERATURE, dipoles=dipoles).infrared
    of_volume = from_trajectory(TIMESTEP, TEMPERATURE, dipoles=dipoles, volume=500.0).infrared
    np.testing.assert_allclose(of_volume.values, molar.values * PER_CM_IN_VOLUME / 500.0)
    # 1 km/mol per cm^-1 = 1e5 cm^2/mol; 6.022e23 molecules per mol, one in 500e-24 cm^3.
    assert pytest.approx(1e5 / 6.02214e23 / 500e-24, rel=1e-5) == PER_CM_IN_VOLUME / 500.0
    assert of_volume.unit == "cm^-1"


def test_without_correction_a_spectrum_is_lower_by_the_harmonic_factor(coordinates):
    dipoles = coordinates @ DIPOLE_SLOPES
    with_it = from_trajectory(TIMESTEP, TEMPERATURE, dipoles=dipoles)
    without = from_trajectory(TIMESTEP, TEMPERATURE, dipoles=dipoles, correction="none")
    at = with_it.wavenumbers.searchsorted(1600.0)
    x = with_it.wavenumbers[at] * units.invcm / (units.kB * TEMPERATURE)
    ratio = with_it.infrared.values[at] / without.infrared.values[at]
    assert ratio == pytest.approx(x / (1 - np.exp(-x)))


def test_errors_of_blocks_are_the_scatter_between_independent_trajectories():
    """Damped oscillators, whose density of modes has a known width, many times."""
    rng = np.random.default_rng(3)
    n, decay, omega = 12_000, 1 / 60.0, 2 * np.pi * CM_PER_FS * 1500.0
    pole = np.exp((-decay + 1j * omega) * TIMESTEP)
    spectra = []
    for _ in range(24):
        noise = rng.standard_normal((n, 2)) @ [1, 1j]
        series = np.empty(n, complex)
        state = 0j
        for t in range(n):
            state = pole * state + noise[t]
            series[t] = state
        dipoles = np.stack([series.real, series.imag, np.zeros(n)], 1)
        spectra.append(from_trajectory(TIMESTEP, TEMPERATURE, dipoles=dipoles, n_blocks=6).infrared)
    values = np.stack([spectrum.values for spectrum in spectra])
    stated = np.sqrt(np.mean([spectrum.error**2 for spectrum in spectra], axis=0))
    strong = values.mean(0) > 0.2 * values.mean(0).max()
    ratio = stated[strong] / values.std(0, ddof=1)[strong]
    assert 0.7 < np.median(ratio) < 1.4


def test_the_autocorrelation_is_the_mean_over_the_origins():
    x = np.random.default_rng(0).standard_normal((50, 2))
    found = autocorrelation(x, 10, 5, 45)
    for lag in range(11):
        origins = [t for t in range(5, 45) if t + lag < 50]
        expected = np.mean([x[t] @ x[t + lag] for t in origins])
        assert found[lag] == pytest.approx(expected)


def test_a_trajectory_that_is_too_short_for_the_width_is_an_error():
    dipoles = np.random.default_rng(0).standard_normal((1000, 3))
    with pytest.raises(UserError, match="does not resolve lines of 20 cm") as error:
        from_trajectory(TIMESTEP, TEMPERATURE, dipoles=dipoles)
    enough = float(error.value.fix.split("at least ")[1].split()[0])
    assert enough < 1.1 * narrowest_width(999.0)
    from_trajectory(TIMESTEP, TEMPERATURE, dipoles=dipoles, width=enough)
    assert 2 * Window(TIMESTEP, enough).depth <= 999


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"correction": "quantum"}, "'quantum' is not a correction"),
        ({"n_blocks": 1}, "number of blocks"),
        ({"currents": np.zeros((N_TIMES, 3))}, "Both dipoles and currents"),
        ({"dipoles": np.full((N_TIMES, 3), np.nan)}, "not finite"),
    ],
)
def test_settings_that_make_no_sense_are_errors(change, message):
    settings = {"dipoles": np.zeros((N_TIMES, 3))} | change
    with pytest.raises(UserError, match=message):
        from_trajectory(TIMESTEP, TEMPERATURE, **settings)
