# Fails when lib/backend/layout.ts is not what print_layout prints.
execute_process(COMMAND ${PRINT_LAYOUT} OUTPUT_VARIABLE generated COMMAND_ERROR_IS_FATAL ANY)
file(READ ${LAYOUT} present)
if(NOT generated STREQUAL present)
  message(FATAL_ERROR "lib/backend/layout.ts does not match native/core/contract/layout_fields.h: run `npm run generate`")
endif()
