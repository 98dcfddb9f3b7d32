! The C interface of reann for Fortran; its documentation is in `reann.h`.
module reann
    use, intrinsic :: iso_c_binding
    implicit none

    type, bind(c) :: reann_error
        character(kind=c_char) :: message(512)
    end type

    type, bind(c) :: reann_system
        integer(c_int64_t) :: n_local, n_atoms
        type(c_ptr) :: element, position, first, neighbor
        type(c_ptr) :: shift = c_null_ptr, system = c_null_ptr
        integer(c_int64_t) :: n_systems = 1
        integer(c_int32_t) :: n_threads = 1
        type(c_funptr) :: forward = c_null_funptr, reverse = c_null_funptr
        type(c_ptr) :: context = c_null_ptr, field = c_null_ptr
    end type

    type, bind(c) :: reann_list
        type(c_ptr) :: first, neighbor, shift, crossed
    end type

    type, bind(c) :: reann_result
        type(c_ptr) :: energies, forces = c_null_ptr, virial = c_null_ptr, virials = c_null_ptr
        type(c_ptr) :: extrapolation = c_null_ptr, outputs = c_null_ptr, dipole = c_null_ptr
    end type

    interface
        function reann_open(path, error) bind(c) result(model)
            import :: c_ptr, c_char, reann_error
            character(kind=c_char), intent(in) :: path(*) ! ends with c_null_char
            type(reann_error), intent(out) :: error
            type(c_ptr) :: model
        end function

        subroutine reann_close(model) bind(c)
            import :: c_ptr
            type(c_ptr), value :: model
        end subroutine

        function reann_cutoff(model) bind(c) result(cutoff)
            import :: c_ptr, c_double
            type(c_ptr), value :: model
            real(c_double) :: cutoff
        end function

        function reann_element(model, atomic_number) bind(c) result(element)
            import :: c_ptr, c_int32_t
            type(c_ptr), value :: model
            integer(c_int32_t), value :: atomic_number
            integer(c_int32_t) :: element ! the first is 0
        end function

        function reann_workspace_new() bind(c) result(workspace)
            import :: c_ptr
            type(c_ptr) :: workspace
        end function

        subroutine reann_workspace_free(workspace) bind(c)
            import :: c_ptr
            type(c_ptr), value :: workspace
        end subroutine

        function reann_neighbors(workspace, position, n_atoms, cell, periodic, reach, list, error) &
            bind(c) result(ok)
            import :: c_ptr, c_int, c_int32_t, c_int64_t, c_double, reann_list, reann_error
            type(c_ptr), value :: workspace
            real(c_double), intent(in) :: position(3, *), cell(3, 3) ! a column is a vector
            integer(c_int64_t), value :: n_atoms
            integer(c_int32_t), intent(in) :: periodic(3)
            real(c_double), value :: reach
            type(reann_list), intent(out) :: list
            type(reann_error), intent(out) :: error
            integer(c_int) :: ok
        end function

        function reann_evaluate(model, member, workspace, system, result, error) bind(c) result(ok)
            import :: c_ptr, c_int, c_int32_t, reann_system, reann_result, reann_error
            type(c_ptr), value :: model, workspace
            integer(c_int32_t), value :: member
            type(reann_system), intent(in) :: system
            type(reann_result), intent(in) :: result
            type(reann_error), intent(out) :: error
            integer(c_int) :: ok
        end function
    end interface
end module
