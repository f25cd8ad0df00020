//! Codes of encrypted files and their keys.

use super::codes;

codes! {
    BROKEN_RECIPIENT = "E0950" Invalid "a recipient cannot be read"
"A recipient is whose key locks the file: an age public key (`age1…`), an SSH public key, an OpenPGP fingerprint, the ARN of an
AWS KMS key, the resource name of a Google Cloud key, the address of an Azure Key Vault or transit key. The message names the
text and the form it should have. Look for a cut-off copy or a private key in its place."
    UNSUPPORTED_RECIPIENT = "E0951" Unsupported "a kind of key is not supported"
"Keys of age plugins, post-quantum age keys, short RSA keys and Huawei's key service are not supported. Add a recipient of
another kind to the file with a tool that can open it, such as an X25519 age key."
    BROKEN_IDENTITY = "E0952" Invalid "a private key cannot be read"
"A file or variable that should hold private keys holds something else; the message names the place and the line, never its
text. An age identity is one word per line beginning with `AGE-SECRET-KEY-1`; SSH and OpenPGP keys keep their BEGIN and END lines."
    BROKEN_SHARES = "E0953" Invalid "the shares of a data key do not fit together"
"With several key groups each group locks a share of the data key. The shares have different lengths, are too few or are one and
the same, or the threshold cannot be met. The metadata was edited by hand or mixed from two files: restore it."
    NO_KEY_OPENS = "E0954" Missing "none of the keys that are there opens the file"
"Every recipient was tried in the order of SOPS_DECRYPTION_ORDER (age and pgp first); the problems below name each with the
places where a key was looked for and why it failed. Give one of the keys, or ask someone who can read the file to add yours
with `ksail cipher updatekeys`. With key groups, as many groups as the threshold says must open."
    WRONG_PASSPHRASE = "E0955" Denied "a passphrase is missing or wrong"
"The private key is itself locked with a passphrase. Type it when asked; without a terminal, use a key without a passphrase."
    BROKEN_SEALED_KEY = "E0956" Invalid "a locked data key cannot be read"
"The `enc` text of a recipient was cut off, edited or mixed from two files, or it opens to something that is no data key of 32
bytes. Restore the metadata from version control, or open the file with another recipient's key."
    NO_IDENTITY = "E0960" Missing "there is no age identity"
"To open a file with age, its private key must be in SOPS_AGE_KEY, in the file named by SOPS_AGE_KEY_FILE, in what the command
in SOPS_AGE_KEY_CMD prints, in the key file (`sops/age/keys.txt` in the configuration folder), or be an SSH key named by
SOPS_AGE_SSH_PRIVATE_KEY_FILE or found as `~/.ssh/id_ed25519` or `~/.ssh/id_rsa`."
    IDENTITY_MISMATCH = "E0961" Missing "no age identity fits the file"
"There are age identities, but the file is locked for others. `ksail cipher inspect FILE` lists the public keys it is for;
compare them with the `# public key:` lines of the key file."
    NO_PGP_KEY = "E0962" Missing "the OpenPGP key is not there"
"To encrypt, the certificate with the fingerprint must be in the keyring of GNUPGHOME (`pubring.kbx` or `pubring.gpg`) or in a
file named by KSAIL_PGP_KEY_FILE. To decrypt, the secret key must be in such a file (`gpg --export-secret-keys --armor`), or gpg
with its agent must hold it."
    PGP_FAILED = "E0963" Denied "an OpenPGP key cannot be used"
"The key is there but does not work: its passphrase is missing or wrong, it has expired or been revoked, or it has no subkey
that encrypts. `gpg --list-keys --with-subkey-fingerprint` shows its state."
}
