/**
 * Who takes in for a service, and who handles its connections: one table for every kind of run, and no other place that asks.
 */
import { Admission } from '../admission/admission';
import type { Children, Errand } from '../child/children';
import { parkedFacts } from '../child/facts';
import { prepareBlind, prepareParked, preparePlan, type Plan, type Sinks } from '../child/plan';
import type { Sandboxes } from '../child/sandboxes';
import type { Stock } from '../child/stock';
import type { Stocks } from '../child/stocks';
import type { Emit } from '../log/events';
import type { Exec, Run, Service, Warm } from '../service/service';
import type { Acceptor } from './accept/acceptor';
import { withBanner } from './handlers/banner';
import type { Before, Terms } from './handlers/before';
import type { FirstByte } from './handlers/first-byte';
import { Programs, type Watch } from './handlers/programs';
import type { Tcpmux } from './handlers/tcpmux';
import { WarmPrograms } from './handlers/warm';
import type { Endings, Served } from './hosted/endings';
import type { Handler, Hosted } from './hosted/hosted';
import { Lender, type LenderParts } from './lend/lender';

const MS = 1000;

type Roles = Pick<Hosted, 'intake' | 'handler' | 'admission'>;
type Ways = Pick<Hosted, 'intake' | 'handler'>;
type Makers = { readonly [Kind in Run['kind']]: (service: Service, run: Extract<Run, { kind: Kind }>) => Ways };

export interface RoleParts {
  readonly acceptor: Acceptor;
  readonly tcpmux: Tcpmux;
  readonly before: Pick<Before, 'handlerFor'>;
  readonly firstByte: Pick<FirstByte, 'handlerFor'>;
  readonly lending: LenderParts;
  readonly children: Children<Served>;
  readonly endings: Endings;
  readonly emit: Emit;
  readonly sinks: Sinks;
  readonly sandboxes: Pick<Sandboxes, 'of' | 'credentialsOf'>;
  readonly stocks: Pick<Stocks, 'make' | 'nextName'>;
  /** Who sees to it that the sessions of a service end; null: they may last. */
  readonly watchFor: (service: Service) => Watch | null;
  /** Who sees to the ends of its children. */
  readonly errandFor: (service: Service) => Errand<Served>;
  /** Who sees to what commands before its program have left behind, when they refuse; null: it stays. */
  readonly leftoversFor: (service: Service) => Terms['onLeft'];
}

export class RoleMaker {
  readonly #parts: RoleParts;
  readonly #makers: Makers = {
    exec: (service, run) => this.#program(service, run, this.#planFor(service, run)),
    tcpmux: () => ({ intake: this.#parts.acceptor, handler: this.#parts.tcpmux }),
  };

  /** Who waits for the clients of a service that has been given its roles. */
  readonly #stocks = new WeakMap<Service, Stock>();

  constructor(parts: RoleParts) {
    this.#parts = parts;
  }

  of(service: Service): Roles {
    const make = this.#makers[service.run.kind] as (service: Service, run: Run) => Ways;
    return { ...make(service, service.run), admission: Admission.of(service.admission) };
  }

  /** undefined: none does. */
  stockOf(service: Service): Stock | undefined {
    return this.#stocks.get(service);
  }

  /** @throws SandboxError */
  #planFor(service: Service, run: Exec): Plan {
    const { sinks, sandboxes } = this.#parts;
    return preparePlan(run, service.wait, sinks, sandboxes.of(service), sandboxes.credentialsOf(service));
  }

  #program(service: Service, run: Exec, plan: Plan): Ways {
    const { acceptor, lending, children, endings, emit, watchFor, errandFor, firstByte } = this.#parts;
    const intake = service.wait ? new Lender(plan, lending) : acceptor;
    const cold = new Programs(plan, {
      children,
      endings,
      errand: errandFor(service),
      emit,
      watch: watchFor(service),
    });
    const program = run.warm === null ? cold : this.#warmed(service, { ...run, warm: run.warm }, plan, cold);
    const { admitted } = service.messages;
    const greeted = admitted === null ? program : withBanner(admitted, program);
    const decided = this.#afterCommands(service, run, greeted);
    const { firstByteMs } = service.admission;
    return { intake, handler: firstByteMs === null ? decided : firstByte.handlerFor(firstByteMs, decided) };
  }

  /** Nothing is started before the service is in force. @throws SandboxError */
  #warmed(service: Service, run: Exec & { readonly warm: Warm }, plan: Plan, cold: Programs): Handler {
    const { acceptor, children, emit, endings, sandboxes, sinks, stocks } = this.#parts;
    const { name } = service;
    const [sandbox, credentials] = [sandboxes.of(service), sandboxes.credentialsOf(service)];
    const stock = stocks.make({
      warm: run.warm,
      plan: prepareParked(run, run.warm, sinks, sandbox, credentials),
      factsOf: (connection) => parkedFacts(run.warm.family === 'unix' ? 'UNIX' : 'TCP', { service: name, connection }),
      onWarm: (waiting) => {
        emit({ event: 'warm', service: name, mode: run.warm.mode, waiting });
      },
      onCold: (reason, pauseMs) => {
        emit({ event: 'cold', service: name, reason, duration: pauseMs / MS });
      },
    });
    this.#stocks.set(service, stock);
    return new WarmPrograms({
      plan,
      stock,
      cold,
      children,
      endings,
      nextName: () => stocks.nextName(),
      serve: (connection) => acceptor.serve(connection),
    });
  }

  /** @throws SandboxError */
  #afterCommands(service: Service, { process, before }: Exec, program: Handler): Handler {
    if (before === null) return program;
    const { sinks, sandboxes } = this.#parts;
    const gates = before.commands.map((command) => {
      const plan = prepareBlind({ command, process }, sinks, sandboxes.of(service), sandboxes.credentialsOf(service));
      return { command: command.path, plan };
    });
    const onLeft = this.#parts.leftoversFor(service);
    return this.#parts.before.handlerFor(gates, { timeoutMs: before.timeoutMs, onLeft }, program);
  }
}
