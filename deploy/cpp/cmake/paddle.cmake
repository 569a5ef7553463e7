# The engine of Paddle Inference, from the official folder: paddle/include, paddle/lib, third_party/install/*/lib.
if(NOT EXISTS ${PADDLE_LIB}/paddle/include/paddle_inference_api.h)
  message(FATAL_ERROR "PADDLE_LIB=${PADDLE_LIB}: expected paddle/include/paddle_inference_api.h in it; the folder is the "
                      "unpacked paddle_inference of https://www.paddlepaddle.org.cn/inference/")
endif()
find_library(PADDLE_INFERENCE paddle_inference PATHS ${PADDLE_LIB}/paddle/lib NO_DEFAULT_PATH REQUIRED)

target_sources(ppcls_infer PRIVATE src/engine_paddle.cpp)
target_compile_definitions(ppcls_infer PRIVATE PPCLS_WITH_PADDLE)
target_include_directories(ppcls_infer SYSTEM PRIVATE ${PADDLE_LIB}/paddle/include)
target_link_libraries(ppcls_infer PRIVATE ${PADDLE_INFERENCE})

# what the library itself needs: oneDNN, MKL and others, in a folder each
file(GLOB paddle_needs LIST_DIRECTORIES true ${PADDLE_LIB}/third_party/install/*/lib)
set_target_properties(ppcls_infer PROPERTIES BUILD_RPATH "${PADDLE_LIB}/paddle/lib;${paddle_needs}")
foreach(folder ${paddle_needs})
  target_link_options(ppcls_infer PRIVATE -Wl,-rpath-link,${folder})
endforeach()
