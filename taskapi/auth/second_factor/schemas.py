"""The schemas of second factors."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.auth.schemas import Reauthentication, code_field
from taskapi.auth.second_factor.codes import RECOVERY_CODES
from taskapi.http.schemas import Input

PASSWORD_EXAMPLE = {"password": "correct horse battery"}
CODE_EXAMPLE = {"code": "492039"}
ENROLLMENT_EXAMPLE = {
    "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    "uri": "otpauth://totp/taskapi:ada%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    "&issuer=taskapi",
    "qr_svg": '<svg xmlns="http://www.w3.org/2000/svg" width="180" height="180">...</svg>',
}
RECOVERY_CODES_EXAMPLE = {"recovery_codes": ["3ld7-hyvd-kyy2-66xk-selu-icq5", "..."]}


class AppCode(Input):
    """A code of the authenticator app."""

    code = code_field("The code that the app shows.", required=True)


class PasswordAndCode(Reauthentication):
    """The password and a code of the caller."""

    code = code_field("A code of the app, or a recovery code.", required=True)


class Enrollment(Schema):
    """A new secret, for an authenticator app."""

    secret = fields.String(
        required=True,
        metadata={"description": "The secret in base32, to type into the app. It is shown once."},
    )
    uri = fields.String(
        required=True,
        metadata={
            "format": "uri",
            "description": "The `otpauth:` URI with the secret, to open the app on this device.",
        },
    )
    qr_svg = fields.String(
        required=True,
        metadata={
            "description": "The URI as a QR code: an SVG document, for the page itself or for an"
            " image with the source `data:image/svg+xml,` and the encoded document."
        },
    )


class RecoveryCodes(Schema):
    """New recovery codes."""

    recovery_codes = fields.List(
        fields.String(),
        required=True,
        metadata={
            "description": f"{RECOVERY_CODES} codes, each of which replaces a code of the app once."
            " They are shown once."
        },
    )
