// What a model takes: memory by purpose, and what is read from the device's storage since it has no place there.
import type { Plan } from 'linnet';
import * as format from '../lib/format.js';
import { streams } from '../state/plan.js';

/** Of an empty conversation, and of a full one where that is another. */
const range = (atStart: string, full: string): string =>
  atStart === full ? full : `${atStart} at first, ${full} in a full conversation`;

export function PlanFigures({ plan }: { plan: Plan }) {
  const rest = plan.totalBytes - plan.weightsBytes - plan.kvBytes;
  const weights = plan.weightsBytes + plan.streamedBytesPerPass;
  const lines: [string, string][] = [['Memory', `${format.bytes(plan.totalBytes)} in all`]];
  if (streams(plan)) {
    const { piecesResident, pieces } = plan;
    const full = plan.streamedBytesPerPass + plan.spilledBytes;
    const share = pieces > 0 ? `, ${format.percent(piecesResident, pieces)} %` : '';
    lines.push(['Weights in memory', `${format.bytes(plan.weightsBytes)} of ${format.bytes(weights)}${share}`]);
    lines.push(['Read for each token', range(format.bytes(plan.streamedBytesPerPassAtStart), format.bytes(full))]);
    if (plan.secondsPerToken > 0) {
      const [atStart, atEnd] = [1 / plan.secondsPerTokenAtStart, 1 / plan.secondsPerToken];
      lines.push(['Speed on this device', `about ${range(format.speed(atStart), format.speed(atEnd))}`]);
    }
  } else {
    lines.push(['Weights', `${format.bytes(plan.weightsBytes)}, all in memory`]);
  }
  const aside = plan.spilledBytes > 0 ? `, and ${format.bytes(plan.spilledBytes)} put aside in storage` : '';
  lines.push(['Conversation', `${format.bytes(plan.kvBytes)} for ${format.number(plan.context)} tokens${aside}`]);
  lines.push(['The rest', format.bytes(rest)]);
  return (
    <dl class="plan">
      {lines.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
