import type { LoadResult } from '../../../src/config/load';
import { atOnce } from '../../../src/native/slices';
import { pack, unpack } from '../../../src/server/packets';
import type { Service } from '../../../src/service/service';
import { sampleService } from '../service/sample';

const WARNING = {
  file: '/services.yaml',
  line: 1,
  column: 1,
  path: '',
  message: 'odd',
  remedy: null,
  source: '',
  sourceColumn: 1,
};
const TEXTS = [{ file: '/services.yaml', text: 'services: {}' }];

function loaded(services: readonly Service[]): LoadResult & { ok: true } {
  const [limits, log] = [{ maxConnections: 5 }, { format: 'auto' } as const];
  const configuration = { services, lacks: [{ name: 's1', reason: 'no program' }], limits, log };
  return {
    ...{ ok: true, configuration, diagnostics: [], warnings: [WARNING], texts: TEXTS },
    effective: { limits: { max_connections: 5 }, log, services: {} },
  };
}

test.each([0, 1, 16, 17, 1000])('%i services arrive as they were sent, and in their order', (count) => {
  const result = loaded(Array.from({ length: count }, (_, index) => sampleService({ name: `s${index}` })));
  const sent = structuredClone(pack(result));
  expect(atOnce(unpack(sent))).toEqual({
    ok: true,
    configuration: result.configuration,
    warnings: [WARNING],
    texts: TEXTS,
  });
});

test('thousands are unpacked with many pauses', () => {
  const work = unpack(pack(loaded(Array.from({ length: 5000 }, (_, index) => sampleService({ name: `s${index}` })))));
  let pauses = 0;
  while (work.next().done !== true) pauses += 1;
  expect(pauses).toBeGreaterThan(200);
});

test('what was wrong with a file arrives as it is', () => {
  const refused: LoadResult = { ok: false, diagnostics: [] };
  expect(atOnce(unpack(pack(refused)))).toEqual(refused);
});
