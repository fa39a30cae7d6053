# SPDX-License-Identifier: LGPL-2.1-or-later
# A thin face over meson: every target installs the Debian packages that it needs
# (tools/install-deps), sets up its build folder if there is none yet, and runs. `make help` lists
# the targets.

# Each compiler has its own build folder: `make CC=clang build` leaves build-clang/resilver.
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD := $(if $(filter gcc,$(CC)),build,build-$(subst /,_,$(CC)))
# The newest compilers may warn about more than this code was written for: make WERROR=false build
WERROR ?= true
PREFIX ?= /usr/local

DEPS := tools/install-deps
# sshd, mke2fs and losetup lie where only root looks for programs.
export PATH := $(PATH):/usr/sbin:/sbin
SETUP = @test -f $(BUILD)/build.ninja || CC=$(CC) meson setup \
	-Dwerror=$(WERROR) -Dprefix=$(PREFIX) $(BUILD)
# The programs alone: tests are built when they are run.
NINJA = @ninja -C $(BUILD) resilver resilverd resilver-gateway

.DEFAULT_GOAL := build
.PHONY: build check demo bench soak mutants install lint clean help

help:
	@echo 'make build     build $(BUILD)/resilver, resilverd and resilver-gateway'
	@echo 'make demo      show resynchronizations of VM disks, with their proofs: by hand, by the service,'
	@echo '               and by management clients'
	@echo 'make check     build in every way and run all tests; the last line counts them'
	@echo 'make bench     measure beside rsync and beside the speed of the disks (ARGS=--quick)'
	@echo 'make soak      the long tests, for SOAK_MINUTES (30)'
	@echo 'make mutants   plant known bugs, one at a time: each must be caught by a test'
	@echo 'make lint      format, layers, banned functions, cppcheck, clang-tidy'
	@echo 'make install   install below PREFIX ($(PREFIX)), staged in DESTDIR'
	@echo 'make clean     remove what was built'

build:
	@$(DEPS) build $(if $(findstring clang,$(CC)),clang)
	$(SETUP)
	$(NINJA)

check:
	@tools/check_all

demo: build
	@$(DEPS) demo
	@RESILVER=$(CURDIR)/$(BUILD)/resilver tools/demo $(ARGS)

bench: build
	@$(DEPS) bench
	@BUILD=$(CURDIR)/$(BUILD) RESILVER=$(CURDIR)/$(BUILD)/resilver bench/run $(ARGS)
	@RESILVER=$(CURDIR)/$(BUILD)/resilver bench/service
	@RESILVER=$(CURDIR)/$(BUILD)/resilver bench/gateway

soak:
	@$(DEPS) soak
	@tools/soak

mutants:
	@$(DEPS) soak
	@tools/mutants $(ARGS)

lint:
	@$(DEPS) lint
	$(SETUP)
	@ninja -C $(BUILD) build.ninja
	@meson test -C $(BUILD) --no-rebuild --suite lint --print-errorlogs

# A build folder that was set up for another PREFIX is set up anew before it is installed.
install:
	@$(DEPS) install
	$(SETUP)
	@$(if $(filter file,$(origin PREFIX)),true,meson configure $(BUILD) -Dprefix=$(PREFIX))
	$(NINJA)
	@meson install --no-rebuild -C $(BUILD)

clean:
	rm -rf build build-*
