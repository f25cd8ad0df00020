//! Codes of encrypted files and their keys.

use super::codes;

codes! {
    BROKEN_DOCUMENT = "E0901" Invalid "a file to encrypt or decrypt cannot be read in its format"
"The text is not valid in the format that the file name or `--input-type` says. The message names the line. The formats are
yaml, json, dotenv, ini and binary; a file that is none of them is encrypted as binary. A file that was cut off must be
restored from version control."
    NOT_ENCRYPTED = "E0902" Missing "a file is not encrypted"
"The file holds no sops metadata (a `sops` section, or keys that begin with `sops_` in dotenv files), so there is nothing to
decrypt. Encrypt it first with `ksail cipher encrypt --in-place FILE`, or name the right format with `--input-type`."
    ALREADY_ENCRYPTED = "E0903" Conflict "a file is encrypted already"
"The file holds sops metadata. Encrypting it again would hide the keys that open it. Use `ksail cipher edit` or `set` to change
it, `rotate` for a new data key, `updatekeys` for other recipients. A plain file whose own top-level key is called `sops`
cannot be encrypted: the name is reserved."
    BROKEN_METADATA = "E0904" Invalid "the metadata of an encrypted file cannot be read"
"The `sops` section lacks a field or has one of the wrong type; the message names it. It was edited by hand or cut off by a
merge. Restore the section from version control: without it, nothing can be decrypted."
    BROKEN_VALUE = "E0905" Invalid "an encrypted value cannot be opened"
"Each value is sealed together with its path. It opens only with the file's own data key, at its own place and unchanged. The
message names the path. A value that was moved, renamed, cut off or typed in by hand does not open. Restore the file, or
change values with `ksail cipher edit` or `set`."
    MAC_MISMATCH = "E0906" Invalid "the integrity code does not fit the content"
"The code is made over all values in their order. It differs, so a value was added, removed, moved or changed without the key:
by hand, by a merge, or by an attacker. Compare the file with version control. `--ignore-mac` decrypts in spite of it; saving
the file afterwards makes a new code."
    MAC_MISSING = "E0907" Invalid "an encrypted file has no integrity code"
"The `mac` field of the metadata is empty, so nothing proves that values were not added, removed or exchanged. Restore the
file, or decrypt with `--ignore-mac` if you trust its content."
    UNSUPPORTED_SHAPE = "E0908" Unsupported "a document has a shape that sops files cannot hold"
"The top level must be a mapping with text keys, dotenv files hold plain texts only, INI files hold sections of plain values.
Numbers must fit 64 bits. Wrap a list in a mapping, quote keys that look like numbers, or encrypt the file with
`--input-type binary`."
    TOO_LARGE = "E0909" Denied "a document is nested too deeply or grows too large"
"Documents may be nested 256 levels deep, and their aliases may not grow them without bound. Such a file is broken or hostile;
reading on would only fill the memory. A file may have 256 MiB, encrypted or not, because its text, its tree and its
ciphertext are in memory at the same time; one that a script opens, 16 MiB."
    BROKEN_RULES = "E0910" Invalid "the rules file cannot be read"
"`.sops.yaml` must be a YAML mapping with `creation_rules`, `destination_rules` and `stores`. The message names the field. An
expression in `path_regex` must be a regular expression; in YAML, write it in single quotes so that backslashes stay."
    NO_RULE = "E0911" Missing "no creation rule fits the file"
"The rules are tried in order, each `path_regex` against the path relative to the rules file; none matches. Add a rule, or a
last one without `path_regex` that fits everything, or name recipients with flags such as `--age`."
    BROKEN_TREE_PATH = "E0912" Invalid "a path into a document cannot be read"
"A path is written in brackets: `[\"database\"][\"users\"][0]`. Keys stand in double or single quotes, positions in lists are
numbers from zero. Quote the whole path for the shell with single quotes."
    NO_SUCH_VALUE = "E0913" Missing "a path leads nowhere in the document"
"The document has no such key, or the list is shorter. `ksail cipher inspect FILE` lists the paths without any key."
    NO_RECIPIENTS = "E0914" Missing "nobody would be able to read the file"
"To encrypt, at least one recipient is needed: from a creation rule in `.sops.yaml`, from a flag such as `--age` or `--pgp`, or
from the environment (`SOPS_AGE_RECIPIENTS`, `SOPS_PGP_FP`, `SOPS_KMS_ARN`, …). `ksail cipher keygen` makes an age key."
    CONFLICTING_SELECTORS = "E0915" Conflict "more than one selector says what is encrypted"
"Only one of `encrypted_suffix`, `unencrypted_suffix`, `encrypted_regex`, `unencrypted_regex`, `encrypted_comment_regex` and
`unencrypted_comment_regex` may be set for a file, because together they would have no clear meaning."
    BROKEN_SELECTOR = "E0916" Invalid "a selector is not a regular expression"
"The expression in a rule or in the metadata of a file cannot be compiled. Look-around and back references are not supported,
as in sops. The message shows the place."
    UNREADABLE_FILE = "E0917" Missing "a file cannot be read"
"The file to work on is not there, is a folder, or may not be read by you."
    UNWRITABLE_FILE = "E0918" Denied "a file cannot be written"
"The new content is written beside the file and then put in its place, so the folder must be writable and the disk must have
room. The old file is left as it was."
    NO_RANDOM = "E0919" Unavailable "the system gives no random bytes"
"Nonces and data keys must be random. The operating system refused to give any, so nothing was encrypted."
    NO_EDITOR = "E0920" Missing "no editor is there"
"`ksail cipher edit` opens `--editor`, else what SOPS_EDITOR, KUBE_EDITOR, EDITOR or VISUAL say, else vim, nano or vi. None was found.
Set EDITOR, or change single values with `ksail cipher set`."
    NOT_MODIFIED = "E0921" Conflict "the edited file was not changed"
"The text was saved as it was, so the encrypted file is left untouched, with its date and ciphertext."
    EDIT_FAILED = "E0922" Invalid "the edited text was not accepted"
"The editor failed, or the text it left cannot be read in the file's format. The encrypted file is left as it was. Correct the
text in the editor that opens again. Without a terminal, or if you do not want it to open again, the text is kept beside the file
under the ending `.unfinished-edit`, encrypted for the same readers: the next edit begins with it. Remove it to start over."
    PLAINTEXT_FOUND = "E0923" Denied "files that must be encrypted are plain"
"`ksail cipher encrypt --check` found files that a creation rule covers and that are not encrypted. Encrypt them with `ksail
cipher encrypt --in-place FILE…` before they are committed. If one was committed already, its secrets are known: change them."
    CHILD_FAILED = "E0924" Unavailable "the command that was given the secrets could not be run"
"`exec-env` and `exec-file` start a command with decrypted values. The command was not found or may not be executed. Its own
exit code is passed on if it runs."
    BROKEN_PRIVATE_KEY = "E0925" Invalid "a text is not an age private key"
"An age private key begins with `AGE-SECRET-KEY-1` and is 74 characters long. Make one with `ksail cipher keygen`, or copy the
whole line from the key file."
    EMPTY_DOCUMENT = "E0926" Invalid "there is nothing in the file to encrypt"
"An encrypted file holds its metadata beside at least one document. Write a value into the file first; to encrypt an empty file as
it is, use `--input-type binary`."
    BROKEN_NEW_VALUE = "E0927" Invalid "a value to set cannot be read"
"`ksail cipher set` takes the value as JSON, so that its type is plain: `'\"text\"'` with double quotes inside single ones, `7`, `true`,
`null`, `'[1, 2]'`, `'{\"a\": 1}'`. The file is left as it was."
    BROKEN_CONTEXT = "E0928" Invalid "an encryption context cannot be read"
"The context that AWS KMS binds to a key is written in pairs, `KEY:VALUE`, with commas between them, such as
`--encryption-context app:shop,stage:prod`. The same pairs are needed to decrypt."
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
    KEY_NOT_LENT = "E0957" Denied "a script may not use this key"
"A script decrypts only with keys that the run was given. By default these are the age, SSH and OpenPGP keys that lie on this machine;
no key service is asked and no program is run, because a definition has no effect on the outside. `--allow-keys all` lends the
key services as well, `--allow-keys none` lends nothing. Programs that embed ksail lend keys with `Options::keys`."
    NO_CLUSTER_KEY = "E0958" Missing "there is no age key for the cluster"
"The definition says that the GitOps engine decrypts (`sops: #{ enabled: true }`), so its namespace gets the secret `sops-age` with an
age private key. The key is looked for in the variable of `sops.env` (SOPS_AGE_KEY), then in `sops.file` or the usual key file, and
`sops.public_keys` may leave only some. None was found. Make one with `ksail cipher keygen --import`, or switch the key off."
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
    AWS_NO_CREDENTIALS = "E0965" Missing "there are no credentials for AWS KMS"
"Nothing says who asks AWS KMS. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile with AWS_PROFILE in ~/.aws, or run with a
role. A file may name its own profile in `aws_profile`. The help line names every place that was looked at."
    AWS_DENIED = "E0966" Denied "AWS KMS refuses"
"The credentials were found but the policy of the key or of the role does not allow kms:Encrypt or kms:Decrypt, the encryption
context differs, or the credentials have expired.
The message repeats the service's own words."
    AWS_UNKNOWN = "E0967" Missing "AWS KMS does not know the key"
"The service answered, but the ARN names another account or region, or the key was deleted. Compare the recipient with the service's list of keys."
    AWS_UNREACHABLE = "E0968" Unavailable "AWS KMS does not answer"
"No connection could be made, or the service failed. Check the network and proxies.
The address is that of the ARN's region; AWS_ENDPOINT_URL_KMS replaces it. Other recipients of the file are tried as well."
    GCP_NO_CREDENTIALS = "E0970" Missing "there are no credentials for Google Cloud KMS"
"Nothing says who asks Google Cloud KMS. Set GOOGLE_CREDENTIALS to a service account's key or its path, GOOGLE_OAUTH_ACCESS_TOKEN, or log in with
`gcloud auth application-default login`. The help line names every place that was looked at."
    GCP_DENIED = "E0971" Denied "Google Cloud KMS refuses"
"The credentials were found but the account lacks cloudkms.cryptoKeyVersions.useToEncrypt or useToDecrypt, or the token has expired.
The message repeats the service's own words."
    GCP_UNKNOWN = "E0972" Missing "Google Cloud KMS does not know the key"
"The service answered, but the project, location, key ring or key in the resource name is not there, or the API is not enabled. Compare the recipient with the service's list of keys."
    GCP_UNREACHABLE = "E0973" Unavailable "Google Cloud KMS does not answer"
"No connection could be made, or the service failed. Check the network and proxies.
SOPS_GCP_KMS_ENDPOINT replaces the address. Other recipients of the file are tried as well."
    AZURE_NO_CREDENTIALS = "E0975" Missing "there are no credentials for Azure Key Vault"
"Nothing says who asks Azure Key Vault. Set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, log in with `az login`, or run with a managed
identity. The help line names every place that was looked at."
    AZURE_DENIED = "E0976" Denied "Azure Key Vault refuses"
"The credentials were found but the identity lacks the permissions to encrypt and decrypt with keys of the vault, or its secret has expired.
The message repeats the service's own words."
    AZURE_UNKNOWN = "E0977" Missing "Azure Key Vault does not know the key"
"The service answered, but the vault has no key of this name and version, or it was deleted or disabled. Compare the recipient with the service's list of keys."
    AZURE_UNREACHABLE = "E0978" Unavailable "Azure Key Vault does not answer"
"No connection could be made, or the service failed. Check the network and proxies.
The vault's address is part of the recipient; a firewall of the vault may refuse this machine. Other recipients of the file are tried as well."
    VAULT_NO_CREDENTIALS = "E0980" Missing "there are no credentials for the transit engine of Vault"
"Nothing says who asks the transit engine of Vault. Set VAULT_TOKEN, or log in with `vault login`, which writes ~/.vault-token. The help line names every place that was looked at."
    VAULT_DENIED = "E0981" Denied "the transit engine of Vault refuses"
"The credentials were found but the token has expired or its policy does not allow update on the key's encrypt and decrypt paths,
or VAULT_NAMESPACE is missing.
The message repeats the service's own words."
    VAULT_UNKNOWN = "E0982" Missing "the transit engine of Vault does not know the key"
"The service answered, but the engine is mounted at another path, or has no key of this name. Compare the recipient with the service's list of keys."
    VAULT_UNREACHABLE = "E0983" Unavailable "the transit engine of Vault does not answer"
"No connection could be made, or the service failed. Check the network and proxies.
The address is part of the recipient; VAULT_ADDR is not used for files that name another. Other recipients of the file are tried as well."
    SERVICE_ANSWER = "E0990" Unavailable "the answer of a key service cannot be used"
"The service, or something between that answers for it, sent what its interface does not have: a proxy's page, a cut-off answer
or a refusal of another kind. The message repeats the status and the service's own words."
}
