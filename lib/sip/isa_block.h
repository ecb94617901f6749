/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The body of each isa_*.c: the file that includes it has defined struct text64 and what goes with
 * it, ISA(), which names the functions, and ISA_NAME.
 */
#include "sip/isa.h"

#include "sip/plain_block.h"

#include "sip/scan_block.h"

#include "sip/lines_block.h"

#include "sip/index_block.h"

#include "sip/window_block.h"

#include "sip/via_block.h"

#include "sip/address_block.h"

#include "sip/uri_block.h"

#include "sip/check_block.h"

const struct sip_isa ISA(sip_isa) = {
	ISA_NAME, ISA(scan), ISA(lines), ISA(index), ISA(check), ISA(uri)};
