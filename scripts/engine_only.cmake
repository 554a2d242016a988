# Builds llama.cpp's engine without the helper library of its command line tools, which the Python
# binding asks for and never loads. CMake includes this file at the end of llama.cpp's project()
# call (CMAKE_PROJECT_<name>_INCLUDE), where a plain variable wins over the binding's cached one.
set(LLAMA_BUILD_COMMON OFF)
