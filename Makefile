# A thin front: meson builds, this file names what people ask for.
.PHONY: all deps deps-test demo test test-all test-vm bench install clean

BUILD_DEPS := gcc make clang llvm meson ninja-build pkg-config bpftool libbpf-dev libuv1-dev libmnl-dev \
	libconfuse-dev libjansson-dev liblmdb-dev libssl-dev libcap-dev libc6-dev linux-libc-dev
DEMO_DEPS := iproute2 nftables procps iputils-ping
TEST_DEPS := libcmocka-dev libclang-rt-14-dev python3 python3-pytest python3-scapy python3-pyroute2 tshark \
	iperf3 curl openssh-client openssh-server openssl ethtool scdoc man-db

all: build/build.ninja
	ninja -C build
	@mkdir -p build/bin
	@ln -sf ../cli/flowmob ../daemon/flowmobd build/bin/

build/build.ninja:
	meson setup build

build-test/build.ninja:
	meson setup build-test --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false

clean:
	rm -rf build build-test
