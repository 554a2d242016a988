# shellcheck shell=sh
# GPU backends of llama.cpp: which are asked for, what each needs here, and CMake's options.
# Sourced by scripts/install.sh, whose `say`, `fail`, `$python` and `$CMAKE_ARGS` it uses.

. scripts/cuda.sh

# Prints the backends that the environment asks for, by the names of their libraries.
asked_backends() {
    asked CUDA "${CUDA:-}" && echo cuda
    asked VULKAN "${VULKAN:-}" && echo vulkan
    asked METAL "${METAL:-}" && echo metal
    return 0
}

asked() {
    case $2 in
    1) return 0 ;;
    '' | 0) return 1 ;;
    *) fail "$1=$2 is not understood; $1=1 builds for it" ;;
    esac
}

# Fails unless all that the backends need is here; sets what CMake must know.
prepare_backends() {
    for backend in "$@"; do
        "prepare_$backend"
    done
}

prepare_metal() {
    [ "$(uname -s)" = Darwin ] || fail "Metal is macOS's own; here CUDA=1 or VULKAN=1 may do"
    xcode-select -p >/dev/null 2>&1 ||
        fail "there are no command line tools of Xcode; xcode-select --install installs them"
    CMAKE_ARGS="-DGGML_METAL=ON $CMAKE_ARGS"
}

prepare_vulkan() {
    sdk=${VULKAN_SDK:-}
    command -v glslc >/dev/null || [ -x "${sdk:-/nowhere}/bin/glslc" ] ||
        fail "there is no glslc, which compiles Vulkan's shaders; $(vulkan_packages)"
    vulkan_compiles 'int main() { return 0; }' ||
        fail "there are no headers of Vulkan and SPIR-V, or no Vulkan loader; $(vulkan_packages)"
    # The youngest of Vulkan's names that llama.cpp uses on every system.
    vulkan_compiles 'int main() { return (int)sizeof(vk::LayerSettingEXT) * 0; }' ||
        fail "Vulkan's headers are older than 1.3.272, which llama.cpp needs (Debian 13 and" \
            "Ubuntu 24.04 have newer ones); set VULKAN_SDK to the SDK of https://vulkan.lunarg.com"
    CMAKE_ARGS="-DGGML_VULKAN=ON $CMAKE_ARGS"
}

vulkan_compiles() {
    printf '#include <vulkan/vulkan.hpp>\n#include <spirv/unified1/spirv.hpp>\n%s\n' "$1" |
        c++ -std=c++17 ${sdk:+-I"$sdk/include" -L"$sdk/lib"} -x c++ - -lvulkan -o /dev/null \
            >/dev/null 2>&1
}

vulkan_packages() {
    how_to_install "glslc libvulkan-dev spirv-headers" \
        "glslc vulkan-headers vulkan-loader-devel spirv-headers-devel" \
        "shaderc vulkan-headers vulkan-icd-loader spirv-headers"
}

# The command that installs packages here, of their names for apt, dnf and pacman.
how_to_install() {
    if command -v apt-get >/dev/null; then
        echo "install with: sudo apt install $1"
    elif command -v dnf >/dev/null; then
        echo "install with: sudo dnf install $2"
    elif command -v pacman >/dev/null; then
        echo "install with: sudo pacman -S $3"
    else
        echo "on Debian and Ubuntu: sudo apt install $1"
    fi
}
