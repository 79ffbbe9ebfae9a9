"""Keys and certificates for tests, made with openssl."""

import os
import secrets
import subprocess


def openssl(*arguments, text=None):
    result = subprocess.run(["openssl", *arguments], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            check=False)
    if result.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(arguments)}: {result.stderr}")
    return result.stdout


def make_key(path):
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
    return path


class Authority:
    """A certificate authority in a folder: ca.key and ca.crt."""

    def __init__(self, folder, name="ca"):
        self.folder = folder
        self.key = make_key(os.path.join(folder, f"{name}.key"))
        self.certificate = os.path.join(folder, f"{name}.crt")
        openssl("req", "-x509", "-new", "-key", self.key, "-out", self.certificate, "-days", "30", "-subj", f"/CN={name}")

    def issue(self, name, subject, alternative_names=()):
        """A certificate for servers and clients: the paths of NAME.crt and NAME.key. A name is "IP:..." or "DNS:..."."""
        key = make_key(os.path.join(self.folder, f"{name}.key"))
        request = openssl("req", "-new", "-key", key, "-subj", subject)
        extensions = os.path.join(self.folder, f"{name}.extensions")
        with open(extensions, "w") as file:
            file.write("keyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n")
            if alternative_names:
                file.write(f"subjectAltName={','.join(alternative_names)}\n")
        certificate = os.path.join(self.folder, f"{name}.crt")
        openssl("x509", "-req", "-CA", self.certificate, "-CAkey", self.key, "-set_serial", f"0x{secrets.token_hex(8)}",
                "-days", "30", "-out", certificate, "-extfile", extensions, text=request)
        os.unlink(extensions)
        return certificate, key
