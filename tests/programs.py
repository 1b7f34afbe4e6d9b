"""Programs as a model might write them, with what must become of them."""

from decimal import Decimal

import psutil


def started():
    """Processes that this one started: other tests may keep a browser."""
    return set(psutil.Process().children())


ANSWERS = {
    "ans = 3": 3,
    "ans = 7 / 2": Decimal("3.5"),
    "ans = 0.1 + 0.2": Decimal("0.30000000000000004"),
    "ans = 0": 0,
    "ans = -12": -12,
    "ans = 2 ** 200": 2**200,
    "from decimal import Decimal\nans = Decimal('1.10')": Decimal("1.10"),
    "ans = 1e-7": Decimal("1e-7"),
    "ans = 'B'": "B",
    r"""ans = 'it\'s "here"\n\u00e9'""": 'it\'s "here"\né',
    "def solve(a, b):\n    return a * b\nans = solve(6, 7)": 42,
    "import math\nans = math.ceil(7 / 2)": 4,
    "ans = sum(i * i for i in range(10))": 285,
    "def down(n):\n    return 0 if n == 0 else 1 + down(n - 1)\nans = down(900)": 900,
}

STATUS = {
    "x = 1": "wrong type",
    "": "wrong type",
    "ans = None": "wrong type",
    "ans = True": "wrong type",
    "ans = [1, 2]": "wrong type",
    "ans = float('nan')": "wrong type",
    "ans = 1e400": "wrong type",
    "ans = 1j": "wrong type",
    "ans = 10 ** 2000": "wrong type",
    "ans = 10 ** 6000": "wrong type",
    "ans = 'a' * 2000": "wrong type",
    "from decimal import Decimal\nans = Decimal('1e999999')": "wrong type",
    "ans = = 3": "syntax",
    "```python\nans = 3\n```": "syntax",
    "  ans = 3": "syntax",
    "ans = 1 \x00": "syntax",
    "ans = 1 # \udc80": "syntax",
    "ans = 1 / 0": "runtime error",
    "ans = apples": "runtime error",
    "ans = 3 + 'a'": "runtime error",
    "ans = (3).apples": "runtime error",
    "import math\nans = math.apples": "runtime error",
    "from math import apples": "runtime error",
    "raise SystemExit": "runtime error",
    "raise NotImplementedError('later')": "runtime error",
    "raise TimeoutError('a lie')": "runtime error",
    "from fractions import Fraction\nans = Fraction(1, 2)": "unsupported",
    "import numpy as np\nans = np.mean([1, 2])": "unsupported",
    "def f():\n    yield 1\nans = sum(f())": "unsupported",
    "class Apple(int): pass\nans = 1": "unsupported",
    "ans = input()": "unsupported",
    "from sys import exit": "unsupported",
    "import sys\nans = 1\nsys.exit()": "unsupported",
    "raise KeyError(5)": "unsupported",
    "ans = 1\n" * 3000: "not run",
}

CLOCKS = """
import datetime, random, time
dates = datetime.datetime.now().isoformat(), datetime.date.today().isoformat()
ans = str((dates, time.time(), time.monotonic(), random.random(), random.sample(range(100), 5)))
"""

# Each with the outcomes that are right for it; first the 25 that others have tried, then 30 more.
HOSTILE = {
    "endless loop": ("while True: pass", {"timeout"}),
    "list of 16 GB": ("ans = [0] * 2_000_000_000", {"memory"}),
    "growing list": ("x = []\nwhile True: x.append('a' * 1000)", {"memory"}),
    "range as a list": ("ans = list(range(10**18))", {"memory"}),
    "tower of powers": ("ans = 10 ** 10 ** 8", {"memory"}),
    "pow": ("ans = pow(7, 10**9)", {"memory"}),
    "string of 10 GB": ("ans = 'a' * 10**10", {"memory"}),
    "factorial": ("import math\nans = math.factorial(10**7)", {"timeout"}),
    "endless recursion": ("def f(): return f()\nf()", {"runtime error"}),
    "nested brackets": ("ans = " + "(" * 9000 + "1" + ")" * 9000, {"syntax"}),
    "regex": ("import re\nans = re.findall(r'(x+x+)+y\\1', 'x' * 60)", {"timeout"}),
    "subclasses": ("ans = ().__class__.__base__.__subclasses__()", {"unsupported"}),
    "open": ("ans = open('/etc/passwd').read()", {"runtime error"}),
    "pathlib": ("from pathlib import Path\nans = Path('/etc/passwd').read_text()", {"runtime error"}),
    "environ": ("import os\nans = os.environ['HOME']", {"unsupported"}),
    "getenv": ("import os\nans = os.getenv('HOME')", {"unsupported"}),
    "system": ("import os\nans = os.system('id')", {"unsupported"}),
    "import by name": ("ans = __import__('os').system('id')", {"unsupported"}),
    "socket": ("import socket\nans = socket.create_connection(('1.1.1.1', 53))", {"unsupported"}),
    "format": ("ans = '{0.__class__.__base__}'.format(1)", {"unsupported", "runtime error"}),
    "print for ever": ("while True: print('a' * 1000)", {"memory", "timeout"}),
    "digits": ("ans = len(str(10**30_000))", {"runtime error"}),
    "modules": ("import sys\nans = sys.modules", {"unsupported"}),
    "deep json": ("import json\nans = json.loads('[' * 10**6)", {"runtime error"}),
    "sleep": ("import time\nwhile True: time.sleep(5)", {"timeout"}),
    # More.
    "fork": ("import os\nwhile True: os.fork()", {"unsupported"}),
    "subprocess": ("import subprocess\nans = subprocess.check_output('id')", {"unsupported"}),
    "ctypes": ("import ctypes\nctypes.string_at(0)", {"unsupported"}),
    "threads": ("import threading\nwhile True: threading.Thread(target=print).start()", {"unsupported"}),
    "signal": ("import signal\nsignal.alarm(0)", {"unsupported"}),
    "write": ("open('written', 'w').write('a' * 100)", {"runtime error"}),
    "list a folder": ("import os\nans = str(os.listdir('/'))", {"runtime error", "unsupported"}),
    "many files": (
        "while True:\n    try: open('/etc/passwd')\n    except Exception: pass",
        {"runtime error"},
    ),
    "a gigabyte at once": ("print('a' * 10**9)", {"memory"}),
    "60 MB at once": ("print('a' * 60_000_000)\nans = 1", {"memory"}),
    "many short lines": ("for i in range(10**6): print()\nans = 1", {"memory"}),
    "endless iterator": ("import itertools\nans = sum(1 for i in itertools.count() if i < 0)", {"timeout"}),
    "sum of a long range": ("ans = sum(range(10**15))", {"timeout"}),
    "permutations": ("import itertools\nans = len(list(itertools.permutations(range(20))))", {"memory"}),
    "combinations": ("import math\nans = math.comb(10**9, 10**8)", {"memory"}),
    "bytes": ("ans = bytes(10**11)", {"memory"}),
    "replace": ("ans = 'a'.replace('a', 'b' * 10**9)", {"memory"}),
    "width": ("ans = f'{1:{10**10}}'", {"memory"}),
    "doubling": ("ans = 'ab'\nwhile True: ans += ans", {"memory"}),
    "catch time": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        {"timeout"},
    ),
    "catch memory": ("while True:\n    try: x = [0] * 10**10\n    except BaseException: pass", {"memory"}),
    "catch depth": (
        "def f():\n    try: f()\n    except BaseException: f()\nf()",
        {"timeout", "runtime error"},
    ),
    "doubling value": ("ans = [0]\nfor i in range(50): ans = [ans, ans]", {"memory", "timeout"}),
    "deep value": ("ans = []\nfor i in range(10**5): ans = [ans]", {"wrong type"}),
    "value in itself": ("ans = []\nans.append(ans)", {"wrong type"}),
    "value that never shows": (
        "class A:\n    def __repr__(self):\n        while True: pass\nans = A()",
        {"timeout"},
    ),
    "value that divides by zero": (
        "class A:\n    def __repr__(self): return '1/0'\nans = A()",
        {"wrong type"},
    ),
    "value that explodes": (
        "class A:\n    def __repr__(self): return '1e999999999'\nans = A()",
        {"wrong type"},
    ),
    "last words": ("raise ValueError('a\\n' * 10**6)", {"runtime error"}),
    "async sleep": (
        "import asyncio\nasync def f():\n    while True: await asyncio.sleep(9)\nasyncio.run(f())",
        {"timeout"},
    ),
    "exec of exec": ("x = 'exec(x)'\nexec(x)", {"runtime error"}),
}
