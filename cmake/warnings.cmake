# Warnings for our own code; library and generated headers are SYSTEM. Every warning is an error in the dev preset.
add_library(offerd_warnings INTERFACE)
target_compile_options(offerd_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wunused-result
  -ffp-contract=off)  # the same bits with and without fused multiply-add units
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(offerd_warnings INTERFACE -Wthread-safety)
endif()
option(OFFERD_WARNINGS_AS_ERRORS "Stop at a warning" OFF)
if(OFFERD_WARNINGS_AS_ERRORS)
  target_compile_options(offerd_warnings INTERFACE -Werror)
endif()
target_include_directories(offerd_warnings INTERFACE ${CMAKE_SOURCE_DIR})
