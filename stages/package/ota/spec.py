"""A signed bundle for updates of a model without an update of the app."""

from typing import Literal

from mlbuild.api import Field, In, Kind, Metric, Out, Params

_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


class OtaParams(Params):
    """Parameters of package/ota."""

    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z][A-Za-z0-9]*$",
        description="Name of the bundle, by which a client knows that it is for it; by default the "
        "pipeline's, in CamelCase. The client's module is called NAMEOTA.",
    )
    version: str | None = Field(
        None,
        pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$",
        description="Version to show, `1.2.0`; by default the sequence number. Clients go by the "
        "sequence number, never by this.",
    )
    sequence: int | None = Field(
        None,
        ge=1,
        le=2**53 - 1,
        description="Number that only grows: a client refuses every bundle that is older than the "
        "newest that it has seen. By default one more than the newest bundle in `previous`, and 1 "
        "without one.",
    )
    signing_keys: list[str] = Field(
        ["MLBUILD_OTA_SIGNING_KEY"],
        min_length=1,
        max_length=4,
        description="Environment variables that hold Ed25519 private keys (PEM, or 32 bytes in "
        "base64); they must be among the stage's `secrets`. Two while keys are changed: each "
        "client accepts the bundle if it knows one of them.",
    )
    public_keys: list[str] = Field(
        [],
        max_length=16,
        description="Public keys (32 bytes in base64) that the generated client pins; by default "
        "those of the signing keys. List the next one early, so that apps know it before it signs. "
        "With a list, a change of the signing key to one that is not in it is refused.",
    )
    encryption_key: str | None = Field(
        None,
        pattern=_VARIABLE,
        description="Environment variable that holds the AES-256 key (32 bytes in base64 or hex), "
        "one of the stage's `secrets`; without it the files are not encrypted.",
    )
    compression: Literal["none", "deflate", "lzma"] = Field(
        "deflate",
        description="`lzma` is smaller and slower to unpack; what does not shrink is left as it "
        "is. Both depend on the versions of zlib and liblzma that the toolchain pins.",
    )
    minimum_app: str | None = Field(
        None,
        pattern=r"^\d{1,6}(\.\d{1,6}){0,3}$",
        description="Oldest version of the app that may take it (CFBundleShortVersionString).",
    )
    platforms: dict[str, str] = Field(
        {},
        description="Oldest systems, `{iOS: '17.0'}`; those not named follow from the model.",
    )
    rollout: float = Field(
        100,
        ge=0,
        le=100,
        description="Share of installations that take it, in percent, to hundredths. An "
        "installation in 10 % is in 50 % too.",
    )
    expires: str | None = Field(
        None,
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$",
        description="Moment in UTC after which clients refuse it, `2030-01-31T00:00:00Z`: limits "
        "for how long a server can hold back a newer one.",
    )
    revoked: list[int] = Field(
        [],
        description="Sequence numbers of bundles that devices must leave, whatever the roll-out.",
    )
    rollback_to: int | None = Field(
        None,
        ge=1,
        description="Sequence number of a bundle in `previous` whose model is delivered again in "
        "place of `model`; all bundles after it are revoked.",
    )
    url: str | None = Field(
        None,
        pattern=r"^https://[^\s\"\\]+$",
        description="Where the bundle's folder will be served; becomes the client's default.",
    )


KIND = Kind(
    summary="Makes a signed bundle for updates of a model in apps, and its client in Swift.",
    toolchain="release",
    params=OtaParams,
    inputs={
        "model": In("CoreMLModel | CoreMLFile", "The model to deliver."),
        "previous": In(
            "OTABundle | CoreMLModel | CoreMLFile",
            "Earlier bundles, and models that apps were shipped with: devices that have one of "
            "them fetch a patch where that is smaller.",
            optional=True,
            many=True,
        ),
    },
    outputs={
        "bundle": Out("OTABundle", "{Name}.ota", "The folder to serve, as it is."),
        "client": Out("SwiftPackage", "{Name}OTA", "A client for it in Swift, with tests."),
    },
    metrics={
        "size_mb": Metric(
            "What a device without an earlier version fetches.", unit="MB", better="min"
        ),
        "model_mb": Metric("Size of the model, unpacked.", unit="MB", better="min"),
        "update_mb": Metric(
            "What a device with the newest of `previous` fetches; without one, size_mb.",
            unit="MB",
            better="min",
        ),
        "update_ratio": Metric("update_mb divided by size_mb.", better="min"),
        "update_mb_from.*": Metric(
            "What a device with an earlier bundle fetches, by sequence.", unit="MB", better="min"
        ),
        "sequence": Metric("The bundle's number.", better="none"),
    },
    details=(
        "The bundle is a folder for any static server: bundle.json, the manifest; bundle.sig, its "
        "Ed25519 signatures; files/, by SHA-256. Files are compressed, encrypted if asked "
        "(AES-256-GCM, keys derived by HKDF from one that never is in the bundle), and told as "
        "patches of earlier versions where that is smaller. Equal inputs and keys give equal "
        "bytes. The stage opens what it wrote before it hands it on. Without a signing key it "
        "refuses.\n\n"
        "The client verifies the signature before it parses anything, refuses older bundles, those "
        "of other models, expired ones, and those for newer apps and systems; keeps to the "
        "roll-out; resumes, decrypts, patches, checks, compiles, swaps atomically, and falls back "
        "to the last good version when one cannot be loaded. Its Swift is parsed before it is "
        "published, but not compiled: that needs a Mac. The format and what it protects from stand "
        "in docs/ota.md."
    ),
    example={},
)
