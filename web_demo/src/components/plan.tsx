// What a model takes: memory by purpose, and what is read from the device's storage since it has no place there.
import type { Plan } from 'linnet';
import * as format from '../lib/format.js';

/** Whether some of the model is read from storage for each token. */
export const streams = (plan: Plan): boolean => plan.streamedBytesPerPass > 0 || plan.spilledBytes > 0;

/** From `atStart`, an empty conversation, to `full`. */
function range(atStart: number, full: number): string {
  const [low, high] = [format.bytes(atStart), format.bytes(full)];
  return low === high ? high : `${low} at first, ${high} in a full conversation`;
}

export function PlanFigures({ plan }: { plan: Plan }) {
  const rest = plan.totalBytes - plan.weightsBytes - plan.kvBytes;
  const weights = plan.weightsBytes + plan.streamedBytesPerPass;
  const lines: [string, string][] = [['Memory', `${format.bytes(plan.totalBytes)} in all`]];
  if (streams(plan)) {
    const { piecesResident, pieces } = plan;
    const share = pieces > 0 ? `, ${format.percent(piecesResident, pieces)} %` : '';
    lines.push(['Weights in memory', `${format.bytes(plan.weightsBytes)} of ${format.bytes(weights)}${share}`]);
    lines.push(['Read for each token', range(plan.streamedBytesPerPassAtStart, plan.streamedBytesPerPass)]);
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
