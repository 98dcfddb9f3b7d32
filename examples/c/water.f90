! Energy and forces of molecules in a cubic box, as water.c.
!
!     cmake -B build/library -DREANN_LIBRARY=ON && cmake --build build/library
!     gfortran examples/c/reann.f90 examples/c/water.f90 -Lbuild/library -lreann -o water
!     LD_LIBRARY_PATH=build/library ./water model.reann examples/c/water.txt
program water
    use reann
    implicit none

    character(len=1024) :: model_file, structure_file
    type(c_ptr) :: model, workspace
    type(reann_error) :: error
    type(reann_system) :: system
    type(reann_result) :: result
    type(reann_list) :: list
    integer(c_int32_t), allocatable, target :: element(:)
    real(c_double), allocatable, target :: r(:, :), energies(:), forces(:, :)
    real(c_double) :: length, cell(3, 3)
    integer(c_int32_t) :: number
    integer :: i, n, unit

    if (command_argument_count() /= 2) error stop "usage: water model.reann water.txt"
    call get_command_argument(1, model_file)
    call get_command_argument(2, structure_file)
    model = reann_open(trim(model_file) // c_null_char, error)
    if (.not. c_associated(model)) call stop_with(error)

    open (newunit=unit, file=trim(structure_file), status="old", action="read")
    read (unit, *) n, length
    allocate (element(n), r(3, n), energies(n), forces(3, n))
    do i = 1, n
        read (unit, *) number, r(:, i)
        element(i) = reann_element(model, number)
        if (element(i) < 0) error stop "an element that the potential does not know"
    end do

    ! All pairs within the cutoff, including periodic images. With a skin, the list is valid for several steps.
    cell = reshape([length, 0d0, 0d0, 0d0, length, 0d0, 0d0, 0d0, length], [3, 3])
    workspace = reann_workspace_new()
    if (reann_neighbors(workspace, r, int(n, c_int64_t), cell, [1, 1, 1], reann_cutoff(model), &
                        list, error) == 0) call stop_with(error)

    system%n_local = n
    system%n_atoms = n
    system%element = c_loc(element)
    system%position = c_loc(r)
    system%first = list%first
    system%neighbor = list%neighbor
    system%shift = list%shift
    result%energies = c_loc(energies)
    result%forces = c_loc(forces)
    if (reann_evaluate(model, 0_c_int32_t, workspace, system, result, error) == 0) &
        call stop_with(error)

    print "(a, f0.9, a)", "energy ", sum(energies), " eV"
    print "(a)", "forces in eV/Å:"
    print "(3f15.9)", forces
    call reann_workspace_free(workspace)
    call reann_close(model)

contains

    subroutine stop_with(error)
        type(reann_error), intent(in) :: error
        character(len=512) :: text
        integer :: i
        text = ""
        do i = 1, findloc(error%message, c_null_char, dim=1) - 1
            text(i:i) = error%message(i)
        end do
        error stop trim(text)
    end subroutine
end program
