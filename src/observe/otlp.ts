import { type Family, families } from './metrics.js';
import type { Status } from './status.js';

/**
 * A status as an OTLP metrics request in its JSON encoding: https://opentelemetry.io/docs/specs/otlp, opentelemetry-proto 1.x. 64-bit integers are
 * text there, as JSON has doubles only. `service`: resource attribute service.name.
 */
export function otlp(status: Status, service: string): object {
  const now = nanos(status.time);
  const began = nanos(status.time - status.uptime);
  const metric = ({ name, kind, help, samples }: Family): object => {
    const dataPoints = samples.map(([labels, value]) => ({
      attributes: attributes(labels),
      ...(kind === 'counter' ? { startTimeUnixNano: began } : {}),
      timeUnixNano: now,
      ...(Number.isInteger(value) ? { asInt: String(value) } : { asDouble: value }),
    }));
    // Temporality 2: what has come together since startTimeUnixNano.
    const data = kind === 'counter' ? { sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints } } : { gauge: { dataPoints } };
    return { name, description: help, ...data };
  };
  const resource = { attributes: attributes({ 'service.name': service, 'service.instance.id': status.name }) };
  const metrics = families(status)
    .filter(({ samples }) => samples.length > 0)
    .map(metric);
  return { resourceMetrics: [{ resource, scopeMetrics: [{ scope: { name: 'anystack' }, metrics }] }] };
}

const nanos = (seconds: number): string => (BigInt(Math.round(seconds * 1e6)) * 1_000n).toString();

const attributes = (labels: Readonly<Record<string, string>>): object[] =>
  Object.entries(labels).map(([key, value]) => ({ key, value: { stringValue: value } }));
