/**
 * The keys that say how a process is started: who it is, and what it finds.
 */
import { z } from 'zod';
import { account, fileMode, nonEmpty, text, variableName } from './values';

export const identityKeys = {
  user: account
    .optional()
    .describe(
      "Who the program runs as: a name or an id. Without it: `nobody` when stdiod runs as root, else stdiod's own user.",
    ),
  group: account.optional().describe("Its group: a name or an id. Without it: the user's own group."),
  groups: z
    .array(account)
    .max(65536)
    .optional()
    .describe('Its supplementary groups. Without it: those of the user, or none when `group` is given.'),
};

export const processKeys = {
  directory: nonEmpty.default('/').describe('Its working directory.'),
  umask: fileMode('0022')
    .default('0022')
    .describe('Permissions that it does not give to the files it creates; a quoted octal mode.'),
  env: z.record(variableName, text).default({}).describe('Variables to set, over those that every service gets.'),
  pass_env: z.array(variableName).default([]).describe("Names of variables to pass on from stdiod's own environment."),
  stderr: z
    .union([z.enum(['socket', 'null']), z.null()])
    .default('socket')
    .describe('Where its standard error goes: `socket`, to the client; `null`, nowhere.'),
};

/** Of the command itself: each service says its own. */
export const commandKeys = {
  argv0: nonEmpty.optional().describe("What the program sees as its own name. Without it: the command's first word."),
};
