#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Part of service_test.py, for the program with the thread sanitizer: what makes threads meet."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lib  # noqa: E402
import service_test  # noqa: E402

NAMES = ("Path.test_three_hosts", "Jobs.test_suspend_and_go_on", "Jobs.test_stopped_in_order",
         "Trust.test_revoked", "Trust.test_a_wrong_code_ends_it",
         "ReturnValues.test_timeout_and_unknown")


def load_tests(loader, _standard, _pattern):
    return unittest.TestSuite(loader.loadTestsFromName(name, service_test) for name in NAMES)


if __name__ == "__main__":
    lib.main()
