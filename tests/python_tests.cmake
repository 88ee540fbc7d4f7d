# The tests that are written in Python: they need the linnet command, and numpy. Where numpy is missing they say so and count as
# skipped (exit code 77). The system's python3 comes first, because that is the one that apt gives numpy to.
find_program(LINNET_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(LINNET_PYTHON NAMES python3)
if(NOT LINNET_PYTHON)
  message(STATUS "No python3: the oracle, golden and fault tests are left out")
  return()
endif()

function(linnet_python_test name label script)
  add_test(NAME ${name} COMMAND ${LINNET_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/${script} ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS ${label} SKIP_RETURN_CODE 77 TIMEOUT 1800)
endfunction()

linnet_python_test(reference oracle oracle/test_reference.py)
if(TARGET linnet)
  linnet_python_test(logits oracle oracle/test_logits.py --linnet $<TARGET_FILE:linnet>)
  linnet_python_test(long_context oracle oracle/test_long_context.py --linnet $<TARGET_FILE:linnet>)
  linnet_python_test(quantised oracle oracle/test_quantised.py --linnet $<TARGET_FILE:linnet>)
  linnet_python_test(same_bits oracle oracle/test_same_bits.py --linnet $<TARGET_FILE:linnet>)
  linnet_python_test(real_models oracle oracle/test_real_models.py --linnet $<TARGET_FILE:linnet>)
  linnet_python_test(golden golden golden/test_golden.py --linnet $<TARGET_FILE:linnet>)
  if(NOT LINNET_SANITIZE)
    # The sanitizers have memory of their own beside the plan's.
    linnet_python_test(ceilings cli cli/test_ceilings.py $<TARGET_FILE:linnet>)
  endif()
  if(LINNET_SANITIZE)
    # Each start of the command costs ten times as much here, so fewer files of each kind.
    linnet_python_test(hostile fault fault/test_hostile.py --linnet $<TARGET_FILE:linnet> --sanitized --limit 40)
  else()
    linnet_python_test(hostile fault fault/test_hostile.py --linnet $<TARGET_FILE:linnet> --limit 150)
  endif()
  set_tests_properties(hostile PROPERTIES PROCESSORS 2)
endif()
