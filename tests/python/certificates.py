"""An authority of our own and a certificate of it for 127.0.0.1, as an operator with a private network has them.
python certificates.py <folder>: writes ca.pem, cert.pem and key.pem there."""

import datetime
import ipaddress
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

folder = pathlib.Path(sys.argv[1])
now = datetime.datetime.now(datetime.timezone.utc)


def certificate(name, key, issuer, signs, extensions):
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = x509.CertificateBuilder().subject_name(named).issuer_name(issuer or named).public_key(key.public_key())
    built = built.serial_number(x509.random_serial_number())
    built = built.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
    for extension, critical in extensions:
        built = built.add_extension(extension, critical)
    return built.sign(signs, hashes.SHA256())


ours, theirs = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
authority = certificate("Spacedly's tests", ours, None, ours, [(x509.BasicConstraints(ca=True, path_length=0), True)])
server = certificate("127.0.0.1", theirs, authority.subject, ours, [
    (x509.BasicConstraints(ca=False, path_length=None), True),
    (x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False),
    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
])
pem = serialization.Encoding.PEM
(folder / "ca.pem").write_bytes(authority.public_bytes(pem))
(folder / "cert.pem").write_bytes(server.public_bytes(pem))
(folder / "key.pem").write_bytes(
    theirs.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
)
