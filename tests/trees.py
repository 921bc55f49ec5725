"""Source trees for the tests of the security audit. Every secret here is made up."""

PASSWORD = "hunter2-Tr0ub4dor"
KEY = "AKIA" + "QWERTYUIOPASDFGH"

WEAK = {
    "app/main.py": (
        "import subprocess\n\n\n"
        "def run(line):\n    return subprocess.call(line, shell=True)\n\n\n"
        f'password = "{PASSWORD}"  # nosec  pragma: allowlist secret\n'
    ),
    "app/settings.yaml": f"aws_access_key_id: {KEY}\n",
    "tests/test_main.py": f'def test_it():\n    assert "{PASSWORD}"\n    token = "{KEY}"\n',
    "requirements.txt": "Django==5.2.19\nhypothesis  # a comment\nno-such-distribution>=1\ncolorama; sys_platform == 'win32'\n",
    "pyproject.toml": '[project]\nname = "weak"\ndependencies = ["psycopg[binary]>=3"]\n',
    "README.md": "Nothing here.\n",
}
