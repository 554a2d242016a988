# shellcheck shell=sh disable=SC2154 # $python is of scripts/install.sh
# CUDA's compiler and libraries for scripts/gpu.sh. Toolkits come in parts: the compiler may be here
# without cuBLAS, which a PyPI wheel then provides, and without a driver, which llama.cpp can do
# without until it runs.

prepare_cuda() {
    [ "$(uname -s)" != Darwin ] || fail "CUDA does not exist on macOS; use METAL=1"
    find_nvcc
    check_nvcc
    CUDACXX=$nvcc
    PATH=$(dirname "$nvcc"):$PATH
    export CUDACXX PATH
    find_runtime
    cards=$(count_cards)
    choose_architectures
    choose_driver
    cublas_links || use_cublas_wheel
    CMAKE_ARGS="-DGGML_CUDA=ON $CMAKE_ARGS"
}

find_nvcc() {
    for nvcc in "$(command -v nvcc)" "${CUDA_PATH:-/usr/local/cuda}/bin/nvcc" \
        /usr/local/cuda/bin/nvcc; do
        [ -x "$nvcc" ] && return
    done
    fail "nvcc, CUDA's compiler, was not found on PATH, in \$CUDA_PATH/bin or /usr/local/cuda/bin;" \
        "$(how_to_install nvidia-cuda-toolkit cuda-toolkit cuda)," \
        "or see https://developer.nvidia.com/cuda-downloads"
}

# Sets cuda_major and cuda_minor; fails where nvcc and the C++ compiler do not work together.
check_nvcc() {
    release=$("$nvcc" --version | sed -n 's/.*release \([0-9]*\.[0-9]*\).*/\1/p')
    cuda_major=${release%.*}
    cuda_minor=${release#*.}
    why=$(compile_cuda 'int main() { return 0; }' 2>&1) ||
        fail "$nvcc (CUDA $release) does not work with this C++ compiler; if that is too new for" \
            "it, install an older g++ and set CUDAHOSTCXX to it. It says:" \
            "$(printf '%s\n' "$why" | grep -m 1 -i error || printf '%s' "$why")"
}

# CMake leaves the toolkit's own folder out of the rpath, and not every toolkit tells the system's
# linker where it is.
find_runtime() {
    top=$("$nvcc" --dryrun probe.cu 2>&1 | sed -n 's/^#\$ TOP=//p')
    for folder in "$top/lib64" "$top/lib"; do
        if [ -e "$folder/libcudart.so" ]; then
            folder=$(cd "$folder" && pwd -P)
            export LDFLAGS="${LDFLAGS:+$LDFLAGS }-Wl,-rpath,$folder"
            return
        fi
    done
}

# compile_cuda SOURCE [OPTION...]: whether it compiles and links; the output is thrown away.
compile_cuda() {
    scratch=$(mktemp -d)
    printf '%s\n' "$1" >"$scratch/probe.cu"
    shift
    rc=0
    "$nvcc" ${CUDAHOSTCXX:+-ccbin "$CUDAHOSTCXX"} -o "$scratch/probe" "$scratch/probe.cu" "$@" ||
        rc=$?
    rm -r "$scratch"
    return $rc
}

cublas_links() {
    compile_cuda '#include <cublas_v2.h>
int main() { cublasHandle_t handle; return cublasCreate(&handle); }' -lcublas >/dev/null 2>&1
}

use_cublas_wheel() {
    folder=$(cublas_folder)
    if [ -z "$folder" ]; then
        say "the CUDA toolkit has no cuBLAS: installing it from PyPI"
        case $cuda_major in
        13) # cuBLAS 13.1 came with CUDA 13.0, 13.2 with 13.1, and so on
            install "nvidia-cublas>=13.0,<13.$((cuda_minor + 2))" \
                "nvidia-cuda-nvrtc<13.$((cuda_minor + 1))"
            ;;
        12) install "nvidia-cublas-cu12==12.$cuda_minor.*" ;;
        *) fail "the toolkit of CUDA $release has no cuBLAS; install its libcublas-dev" ;;
        esac
        folder=$(cublas_folder)
        [ -n "$folder" ] || fail "the cuBLAS of PyPI has no cublas_v2.h for this system"
    fi
    case $folder in
    *[[:space:]]*) fail "$folder has a space: move this folder, or install the toolkit's cuBLAS" ;;
    esac
    # After all other folders, so that the toolkit's own headers come first.
    export CPLUS_INCLUDE_PATH="${CPLUS_INCLUDE_PATH:+$CPLUS_INCLUDE_PATH:}$folder/include"
    # The linker writes the libraries' folder into the rpath, since CMake is given their full names.
    for name in cublas cublasLt; do
        for library in "$folder/lib/lib$name".so.*; do :; done
        CMAKE_ARGS="-DCUDA_${name}_LIBRARY=$library $CMAKE_ARGS"
    done
}

# Prints where a wheel has cuBLAS: nvidia/cu13 for CUDA 13, nvidia/cublas for CUDA 12.
cublas_folder() {
    "$python" - "$cuda_major" <<'PYTHON'
import pathlib, sys, sysconfig
name = "cublas" if sys.argv[1] == "12" else "cu" + sys.argv[1]
folder = pathlib.Path(sysconfig.get_path("purelib"), "nvidia", name)
if (folder / "include" / "cublas_v2.h").is_file():
    print(folder)
PYTHON
}

# Links the driver's library only where there is one to load: linked with a toolkit's stub, llama.cpp
# would not load on this machine. What is lost without is memory that grows in place (cuMemMap).
choose_driver() {
    if [ "$cards" = none ] || ! compile_cuda 'int main() { return 0; }' -lcuda >/dev/null 2>&1; then
        say "no CUDA driver to link: building without its virtual memory"
        CMAKE_ARGS="-DGGML_CUDA_NO_VMM=ON $CMAKE_ARGS"
    fi
}

# Prints how many NVIDIA cards there are, "none" where there is no driver.
count_cards() {
    "$python" - <<'PYTHON'
import ctypes
try:
    driver = ctypes.CDLL("libcuda.so.1")
except OSError:
    print("none")
else:
    count = ctypes.c_int(0)
    driver.cuInit(0)
    driver.cuDeviceGetCount(ctypes.byref(count))
    print(count.value)
PYTHON
}

# Where there is a card llama.cpp builds for it ("native").
choose_architectures() {
    case $cards in
    none | 0) ;;
    *) return ;;
    esac
    case $CMAKE_ARGS in
    *CMAKE_CUDA_ARCHITECTURES*) return ;;
    esac
    architectures=${CUDA_ARCHITECTURES:-$(usual_architectures)}
    say "no NVIDIA card here: building for the architectures $architectures"
    CMAKE_ARGS="-DCMAKE_CUDA_ARCHITECTURES=$architectures $CMAKE_ARGS"
}

# Those that llama.cpp builds for when told no card (ggml/src/ggml-cuda/CMakeLists.txt), as far as
# this nvcc knows them, joined by semicolons.
usual_architectures() {
    known=$("$nvcc" --list-gpu-arch)
    for architecture in 50-virtual 61-virtual 70-virtual 75-virtual 80-virtual 86-real 89-real \
        90-virtual 120a-real 121a-real; do
        printf '%s\n' "$known" | grep -qx "compute_${architecture%%[!0-9]*}" &&
            printf '%s\n' $architecture
    done | paste -sd ';' -
}
