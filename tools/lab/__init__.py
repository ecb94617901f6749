# SPDX-License-Identifier: BSD-3-Clause
"""The network that siplane is tried in, and what runs there."""
