# find_package(minigrad_kernels): the targets minigrad_kernels::shared and minigrad_kernels::static, as far as installed;
# minigrad_kernels::minigrad_kernels is the first of them.
include(${CMAKE_CURRENT_LIST_DIR}/minigrad_kernels-targets.cmake)

if(NOT TARGET minigrad_kernels::minigrad_kernels)
  foreach(kind IN ITEMS shared static)
    if(TARGET minigrad_kernels::${kind})
      add_library(minigrad_kernels::minigrad_kernels INTERFACE IMPORTED)
      set_property(TARGET minigrad_kernels::minigrad_kernels PROPERTY INTERFACE_LINK_LIBRARIES minigrad_kernels::${kind})
      break()
    endif()
  endforeach()
endif()
