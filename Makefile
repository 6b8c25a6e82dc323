# A thin front: meson builds, this file names what people ask for.
.PHONY: all deps deps-test build-test demo test test-all test-vm bench install clean

BUILD_DEPS := gcc make clang llvm meson ninja-build pkg-config bpftool libbpf-dev libuv1-dev libmnl-dev libnftables-dev \
	libconfuse-dev libjansson-dev liblmdb-dev libssl-dev libcap-dev libc6-dev linux-libc-dev scdoc
DEMO_DEPS := iproute2 nftables procps iputils-ping
TEST_DEPS := g++ libcmocka-dev libclang-rt-14-dev clang-format python3 python3-pytest \
	python3-pytest-xdist python3-scapy python3-pyroute2 tshark iperf3 curl nginx-light openssh-client openssh-server openssl ethtool man-db busybox-static
VM_DEPS := qemu-system-x86 busybox-static cpio kmod systemd

RUN_TESTS := /usr/bin/python3 tools/run-tests

# Programs for use: optimised, no sanitizers. build/bin/ runs without installation.
all: build/build.ninja
	@ninja -C build
	@mkdir -p build/bin
	@ln -sf ../cli/flowmob ../daemon/flowmobd build/bin/

build/build.ninja:
	meson setup build

# The same with AddressSanitizer and UndefinedBehaviorSanitizer: what unit tests run.
build-test: build-test/build.ninja
	@ninja -C build-test all meson-test-prereq

build-test/build.ninja:
	meson setup build-test --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false

deps:
	@tools/deps "building and the demonstration" $(BUILD_DEPS) $(DEMO_DEPS)

deps-test:
	@tools/deps "building and testing" $(BUILD_DEPS) $(DEMO_DEPS) $(TEST_DEPS)

demo: deps
	@$(MAKE) --no-print-directory all
	@build/bin/flowmob lab demo

# Everything that ends within 15 minutes on two cores; test-all has the long forms too.
test: deps-test
	@$(MAKE) --no-print-directory all build-test
	@$(RUN_TESTS)

test-all: deps-test
	@$(MAKE) --no-print-directory all build-test
	@$(RUN_TESTS) --all

# Debian's 6.1 kernel in QEMU, without KVM: a boot by systemd, eBPF load and runs, worlds without timing bounds.
test-vm: deps-test
	@tools/deps "the virtual machine" $(VM_DEPS)
	@$(MAKE) --no-print-directory all build-test
	@$(RUN_TESTS) --vm

bench: deps
	@$(MAKE) --no-print-directory all
	@build/bin/flowmob bench all

install: all
	meson install -C build --no-rebuild
	@[ -n "$(DESTDIR)" ] || ldconfig # programs find libflowmob from now on

clean:
	rm -rf build build-test build-clang build-fuzz build-vm
