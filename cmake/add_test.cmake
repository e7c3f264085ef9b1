# offerd_add_test(NAME LABELS fast|slow SOURCES ... LIBRARIES ...): one GoogleTest binary, run as one ctest entry per label.
# Tests whose suite name ends in "Slow" carry the label `slow`; the rest of the binary carries `fast`.
function(offerd_add_test name)
  cmake_parse_arguments(ARG "HAS_SLOW" "TIMEOUT" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_compile_options(${name} PRIVATE -O1)  # the code under test is in libraries; optimising gmock costs minutes
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} offerd_warnings GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE OFFERD_SOURCE_DIR="${CMAKE_SOURCE_DIR}" OFFERD_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 600)
  endif()
  add_test(NAME ${name} COMMAND ${name} --gtest_filter=-*Slow.*)
  set_tests_properties(${name} PROPERTIES LABELS fast TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp")
  if(ARG_HAS_SLOW AND OFFERD_SANITIZE STREQUAL "")  # statistics of millions of draws: without sanitizers only
    add_test(NAME ${name}_slow COMMAND ${name} --gtest_filter=*Slow.*)
    set_tests_properties(${name}_slow PROPERTIES LABELS slow TIMEOUT 1800)
  endif()
endfunction()
