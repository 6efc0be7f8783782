/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_BASE_BASE_H
#define GROUND_BASE_BASE_H

/* base - everything of this room in one line, for the rooms above. */
#include "ground/base/arena.h"
#include "ground/base/clock.h"
#include "ground/base/disk.h"
#include "ground/base/fd.h"
#include "ground/base/id.h"
#include "ground/base/log.h"
#include "ground/base/money.h"
#include "ground/base/result.h"
#include "ground/base/rng.h"
#include "ground/base/span.h"
#include "ground/base/thread.h"
#include "ground/base/utf8.h"

/* Last: see there. */
#include "ground/base/banned.h"

#endif
