/**
 * Secrets that a service's children find as files of their own, in the folder that CREDENTIALS_DIRECTORY names.
 */

export interface Credentials {
  /** `mount`: in a view of the files that nobody else has; `folder`: for who runs as stdiod's own user, from whom it keeps no secrets. */
  readonly place: 'mount' | 'folder';
  /** Whose they are. */
  readonly uid: number;
  readonly gid: number;
  readonly files: readonly Credential[];
}

export interface Credential {
  readonly name: string;
  /** base64. */
  readonly contents: string;
}

export const CREDENTIALS_VARIABLE = 'CREDENTIALS_DIRECTORY';

/** Where they are mounted: a folder of root's, which is empty for everybody else. */
export const CREDENTIALS_MOUNT = '/run/stdiod-credentials';

/** Of all of a service together, bytes, as systemd has it. */
export const MOST_CREDENTIAL_BYTES = 1024 ** 2;

/** Of one service. */
export const MOST_CREDENTIALS = 100;
