"""Commands for training: demo, new, train, resume, learn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reann.terminal import print_line


def demo(
    folder: Annotated[Path, typer.Argument(help="Folder to write.")] = Path("reann-demo"),
) -> None:
    """Train a small potential on bundled data and use it; takes a minute or two.

    Example: reann demo
    """
    from reann.cli import app
    from reann.demo import demo

    demo(folder, lambda words: app(words, prog_name="reann", standalone_mode=False))


def new(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="File to write.")],
    from_files: Annotated[
        list[str],
        typer.Option(
            "--from",
            metavar="DATA",
            help="File or glob of structures; repeat it for files with other keys or units.",
        ),
    ],
    host: Annotated[
        str,
        typer.Option(
            "--host", metavar="HOST", help="Descriptor to which the recursion is applied."
        ),
    ] = "density",
) -> None:
    """Write a commented configuration for your data.

    Example: reann new water.yaml --from train.xyz
    """
    from reann.config.new import new_config

    print_line(new_config(file, from_files, host))


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="Configuration, a YAML file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Fields that override the file."),
    ] = None,
    from_model: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Start from the weights of this potential: a .reann file or a run folder.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Overwrite an existing run in the folder.")
    ] = False,
) -> None:
    """Train a potential; Ctrl-C saves a checkpoint from which the run can be resumed.

    Example: reann train water.yaml training.time=10min model.cutoff=5
    """
    from reann.config.file import load_config

    settings = load_config(config, overrides or [])
    from reann.training.run import train

    train(settings, warm_start=from_model, overwrite=overwrite)


def curve(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Fields that override the file."),
    ] = None,
    parts: Annotated[
        str, typer.Option(metavar="FRACTIONS", help="Fractions of the training structures.")
    ] = "0.125,0.25,0.5,1",
) -> None:
    """Train on parts of the data, and report whether more data would help.

    Each training takes as many steps as one on all data, or `training.time`. The runs, `curve.html`
    and `curve.json` are in the folder of the run with `-curve` added; the same command continues
    an interrupted curve.

    Example: reann curve water.yaml training.time=10min
    """
    from reann.config.file import load_config

    settings = load_config(config, overrides or [])
    try:
        fractions = [float(part) for part in parts.split(",")]
    except ValueError:
        fractions = []
    from reann.training.learning_curve import learning_curve

    learning_curve(settings, fractions)


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Fields to change, such as training.epochs."),
    ] = None,
) -> None:
    """Continue an interrupted run exactly where it stopped, or extend a finished run.

    Example: reann resume runs/water training.epochs=600
    """
    from reann.training.run import resume

    resume(run, overrides or [])


def learn(
    loop: Annotated[Path, typer.Argument(metavar="LOOP.yaml", help="A YAML file.")],
) -> None:
    """Run active learning: explore, select structures, label them, train, and repeat.

    The same command continues an interrupted loop. Exit code 3: run the calculations, then
    start the loop again.

    Example: reann learn ethanol-loop.yaml
    """
    from reann.cli.group import complain
    from reann.learning.label.by_files import WaitingError
    from reann.learning.loop import learn

    try:
        learn(loop)
    except WaitingError as waiting:
        print_line(str(waiting))
        raise typer.Exit(3) from None
    except KeyboardInterrupt:
        complain(f"Stopped. To continue: reann learn {loop}")
        raise typer.Exit(130) from None
