/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sanitizer.h - what the simulator tells the address sanitizer, where there is one:
 * SANITIZER_POISON makes bytes untouchable, SANITIZER_UNPOISON gives them back.
 */
#ifndef RESILVER_SIM_SANITIZER_H
#define RESILVER_SIM_SANITIZER_H

/* gcc has the macro, clang the question. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZER_IS_ON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZER_IS_ON 1
#endif
#endif

#ifdef SANITIZER_IS_ON
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define SANITIZER_POISON(at, len) ASAN_POISON_MEMORY_REGION((at), (len))
#define SANITIZER_UNPOISON(at, len) ASAN_UNPOISON_MEMORY_REGION((at), (len))
#else
#define SANITIZER_POISON(at, len) ((void)(at), (void)(len))
#define SANITIZER_UNPOISON(at, len) ((void)(at), (void)(len))
#endif

#endif
