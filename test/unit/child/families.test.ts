/**
 * Who descends from whom, and whose they are.
 */
import { Chase } from '../../../src/child/chase';
import type { ProcessFacts } from '../../../src/child/census';
import { clansOf } from '../../../src/child/families';

const OWN = 10;

function born(pid: number, parent: number, start = pid): ProcessFacts {
  return { pid, parent, group: pid, start };
}

/** `20: 30 40`. */
function clans(...processes: ProcessFacts[]): string[] {
  return clansOf(processes, OWN).map(({ head, others }) => `${head.pid}: ${others.map(({ pid }) => pid).join(' ')}`);
}

describe('a clan', () => {
  test('is a child of ours with all who descend from it', () => {
    expect(clans(born(1, 0), born(OWN, 1), born(20, OWN), born(30, 20), born(40, 30), born(50, OWN))).toEqual([
      '20: 30 40',
      '50: ',
    ]);
  });

  test('has nobody in it who descends from somebody else', () => {
    expect(clans(born(OWN, 1), born(20, OWN), born(30, 1), born(31, 30))).toEqual(['20: ']);
  });

  test('has nobody in it who is older than the parent: that number was another’s', () => {
    expect(clans(born(OWN, 1), born(20, OWN, 500), born(30, 20, 499), born(31, 20, 500))).toEqual(['20: 31']);
  });

  test('comes to an end, whatever numbers were read while they changed hands', () => {
    expect(clans(born(OWN, 1), born(20, OWN, 1), born(30, 20, 1), born(20, 30, 1))).toEqual(['20: 30']);
  });
});

describe('a chase', () => {
  /** What is found, look by look; the last one again and again. */
  let rounds: ProcessFacts[][];
  /** `SIGSTOP 20 30`. */
  let sent: string[];
  let chase: Chase;

  beforeEach(() => {
    sent = [];
    const signal = (processes: readonly ProcessFacts[], name: string): void =>
      void sent.push(`${name} ${processes.map(({ pid }) => pid).join(' ')}`);
    chase = new Chase({ signal }, (onSeen) => {
      onSeen((rounds.length > 1 ? rounds.shift() : rounds[0]) ?? []);
    });
  });

  function end(): void {
    chase.corner(
      () => undefined,
      () => {
        chase.kill();
      },
    );
  }

  test('kills whom it has seen before without stopping anybody', () => {
    rounds = [[born(20, OWN)]];
    chase.look(() => undefined);
    end();
    expect(sent).toEqual(['SIGKILL 20']);
  });

  test('stops all until nobody is new, then kills them', () => {
    rounds = [[born(20, OWN)], [born(20, OWN), born(30, 20)], [born(20, OWN), born(30, 20)]];
    end();
    expect(sent).toEqual(['SIGSTOP 20', 'SIGSTOP 20 30', 'SIGKILL 20 30']);
  });

  test('goes on with those who were made in between', () => {
    rounds = [[born(20, OWN)], [born(20, OWN)], [born(40, OWN)], [born(40, OWN)]];
    end();
    expect(sent).toEqual(['SIGSTOP 20', 'SIGKILL 20', 'SIGSTOP 40', 'SIGKILL 20 40']);
  });

  test('remembers whom it has seen, also where nothing tells any more whose they are', () => {
    rounds = [[born(20, OWN)], []];
    chase.look(() => undefined);
    end();
    expect(sent).toEqual(['SIGKILL 20']);
  });

  test('comes to an end where somebody is new each time', () => {
    let pid = 100;
    const endless = new Chase({ signal: (_, name) => void sent.push(name) }, (onSeen) => {
      onSeen([born((pid += 1), OWN)]);
    });
    endless.corner(
      () => undefined,
      () => {
        endless.kill();
      },
    );
    expect(sent.filter((name) => name === 'SIGKILL')).toHaveLength(6);
  });
});
