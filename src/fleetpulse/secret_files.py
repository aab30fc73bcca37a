"""Secrets from files: a variable NAME_FILE names a file with the value of NAME, so that no environment shows it.

Container engines and systemd (`LoadCredential=`) hand secrets over as files, which fewer can read than an environment.
"""

from collections.abc import Mapping
from pathlib import Path

from fleetpulse.errors import SettingsError

SUFFIX = "_FILE"
BYTES_MAX = 65_536
_AWS = {
    "AWS_ACCESS_KEY_ID": "access_key_id",
    "AWS_SECRET_ACCESS_KEY": "secret_access_key",
    "AWS_SESSION_TOKEN": "session_token",
}


def read_secret_file(variable: str, path: str, environment: Mapping[str, str]) -> str:
    """The value that the file of `variable` has, without line ends behind it.

    Raises: SettingsError: the file cannot be read, or the variable without the suffix is there, too.
    """
    plain = variable.removesuffix(SUFFIX)
    if plain in environment:
        raise SettingsError(f"{plain} and {variable} are both in the environment: give one of them")
    try:
        with Path(path).open("rb") as file:
            content = file.read(BYTES_MAX + 1)
        text = content.decode()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{variable}: the file {path} cannot be read: {reason}") from None
    if len(content) > BYTES_MAX:
        raise SettingsError(f"{variable}: the file {path} is larger than {BYTES_MAX} bytes, so it is no secret")
    return text.rstrip("\r\n")


def s3_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """Those credentials of an S3 store that files have, by the names that obstore gives them. Raises: SettingsError."""
    return {
        name: read_secret_file(variable + SUFFIX, environment[variable + SUFFIX], environment)
        for variable, name in _AWS.items()
        if variable + SUFFIX in environment
    }
