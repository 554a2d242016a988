"""Certificate and key for TLS, loaded and checked before the model is."""

import ssl
from pathlib import Path
from typing import NoReturn

from glm3edge.config.settings import Settings
from glm3edge.errors import ConfigError
from glm3edge_convert.files import read_file

_MISMATCHES = {"KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}  # of one type, or of two
_EXPIRED = 10  # OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED


def load_tls(settings: Settings) -> ssl.SSLContext | None:
    """Load certificate and key, and check that clients can connect; None if there are none.

    Raises:
        ConfigError: a file is missing or unreadable, they do not belong together, the key is
            encrypted, or the certificate is not valid now or not for servers.
    """
    cert, key = settings.tls_cert, settings.tls_key
    if cert is None:
        if key is not None:
            raise ConfigError("--tls-key needs its certificate: give --tls-cert too")
        return None
    for option, path in (("--tls-cert", cert), ("--tls-key", key or cert)):
        try:
            read_file(path)
        except OSError as exc:
            raise ConfigError(f"{option} {path}: {exc.strerror}") from exc
    client, server = _client(cert), _server(cert, key or cert)
    _shake_hands(client, server, cert)
    return server


def _server(cert: Path, key: Path) -> ssl.SSLContext:
    def refuse() -> NoReturn:
        raise ConfigError(
            f"--tls-key {key}: the key is encrypted, and glm3edge asks for no password; decrypt "
            f"it with openssl pkey -in {key} -out FILE"
        )

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key, refuse)
    except ssl.SSLError as exc:
        raise ConfigError(_key_fault(cert, key, exc.reason)) from exc
    return context


def _key_fault(cert: Path, key: Path, reason: str | None) -> str:
    if reason in _MISMATCHES:
        return (
            f"--tls-key {key} is not the key of the first certificate in --tls-cert {cert}: the "
            "server's own comes before those of authorities"
        )
    if reason is None:  # the certificate has been read before
        return f"{key} has no private key in PEM format: give its file as --tls-key"
    return f"--tls-cert {cert} and --tls-key {key} cannot be used: {reason}"


def _client(cert: Path) -> ssl.SSLContext:
    """A client that trusts the certificate itself, whoever signed it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cert)
    except ssl.SSLError as exc:
        raise ConfigError(f"--tls-cert {cert} is not a certificate in PEM format") from exc
    return context


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, cert: Path) -> None:
    """Connect both in memory; the client checks dates and purpose."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    pair = (
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(3):
        for end in pair:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as exc:
                fault = exc.verify_message
                advice = "renew it" if exc.verify_code == _EXPIRED else "clients would refuse it"
                raise ConfigError(f"--tls-cert {cert}: {fault}; {advice}") from exc
            except ssl.SSLError as exc:
                raise ConfigError(f"--tls-cert {cert} cannot be used: {exc.reason}") from exc
