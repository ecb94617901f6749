/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * For tables that only this room uses: they are reached without the global offset table, though the
 * objects are position-independent.
 */
#define SIP_PRIVATE __attribute__((visibility("hidden")))
