// The same numbers and words as weighbridge.labelling.sequential and .question, which say where they come from.
const TINY = 1e-9, logFactorial = [0];
const f = k => { for (let j = logFactorial.length; j <= k; j++) logFactorial.push(logFactorial[j - 1] + Math.log(j)); return logFactorial[k]; };
const certain = (ahead, behind, unseen) => ahead - behind >= unseen;
const settles = (logEvidence, alpha) => logEvidence >= -Math.log(alpha) - TINY;

function logEvidence(ahead, behind, unseen) {
  const seen = ahead + behind;
  if (certain(ahead, behind, unseen)) return Infinity;
  let tail = 0; // P(Binomial(seen + 1, 1/2) <= ahead)
  for (let k = 0; k <= ahead; k++) tail += Math.exp(f(seen + 1) - f(k) - f(seen + 1 - k) - (seen + 1) * Math.LN2);
  const mixture = Math.LN2 + f(ahead) + f(behind) - f(seen + 1) + Math.log(tail);
  let worst = -Infinity;
  for (let m = Math.max(seen, 1); m <= seen + unseen; m++) {
    const most = Math.min(Math.floor((m - 1) / 2), m - behind);
    if (most < ahead) continue;
    const k = Math.min(Math.max(Math.floor((m + 1) * ahead / Math.max(seen, 1)), ahead), most);
    worst = Math.max(worst, f(k) - f(k - ahead) + f(m - k) - f(m - k - behind) + f(m - seen) - f(m));
  }
  return mixture - worst;
}

function shareBounds(right, wrong, unseen, alpha) {
  const seen = right + wrong, count = seen + unseen, inside = [];
  for (let k = right; k <= right + unseen; k++) {
    const likelihood = f(k) - f(k - right) + f(count - k) - f(count - k - wrong) + f(unseen) - f(count);
    if (f(right) + f(wrong) - f(seen + 1) - likelihood < -Math.log(alpha) - TINY) inside.push(k);
  }
  return [inside[0] / count, inside[inside.length - 1] / count];
}

function differenceBounds(ahead, behind, neither, unseen, alpha) {
  const seen = ahead + behind + neither, count = seen + unseen;
  const least = Math.LN2 + f(ahead) + f(behind) + f(neither) - f(seen + 2) + Math.log(alpha) + TINY;
  const inside = difference => {
    for (let b = Math.max(behind, ahead - difference); b <= count; b++) {
      const a = b + difference, c = count - a - b;
      if (c < neither) return false;
      if (f(a) - f(a - ahead) + f(b) - f(b - behind) + f(c) - f(c - neither) + f(unseen) - f(count) > least) return true;
    }
    return false;
  };
  let low = ahead - behind + Math.round(unseen * (ahead - behind) / Math.max(seen, 1)), high = low;
  while (inside(low - 1) || inside(low - 2)) low--;
  while (inside(high + 1) || inside(high + 2)) high++;
  return [low, high];
}

const oneDecimal = value => (value + TINY).toFixed(1);
const signed = points => (points < 0 ? "-" : "+") + oneDecimal(Math.abs(points));
const general = value => String(Number(value.toPrecision(6)));

function standing(setup, labels) {
  return {better: better, accuracy: accuracy, teach: teach}[setup.asked](setup, labels);
}

function better(setup, labels) {
  const total = setup.files.length, models = setup.models, alpha = setup.level, often = Math.round(100 * alpha);
  let ahead = 0, behind = 0, neither = 0, unknown = 0, settled = [false, false], evidence = [1, 1];
  for (let place = 0; place <= labels.length; place++) {
    const both = [logEvidence(ahead, behind, total - place), logEvidence(behind, ahead, total - place)];
    evidence = both.map(e => Math.min(Math.exp(Math.min(e, 30)), 1e9));
    settled = both.map((e, k) => settled[k] || settles(e, alpha));
    if (place === labels.length) break;
    const label = labels[place], [ours, theirs] = setup.told[place].map(k => setup.classes[k]);
    if (label === ours) ahead++;
    else if (label === theirs) behind++;
    else if (label === "") unknown++;
    else neither++;
  }
  const left = total - labels.length;
  const bounds = differenceBounds(ahead, behind, neither + unknown, left, alpha);
  const [low, high] = bounds.map(d => setup.photos ? 100 * d / setup.photos : 0);
  const sure = [certain(ahead, behind, left), certain(behind, ahead, left)];
  const [one, other] = sure[0] || sure[1] ? sure : settled;
  const keep = one && other ? 2 : one ? 0 : other ? 1 : -1;
  let sentence;
  if (!total) sentence = "The two models tell all photos alike, so there is nothing to ask.";
  else {
    sentence = `${labels.length} of ${total} photos that the two tell differently are labelled. `
      + `${models[0]} alone is right on ${ahead}, ${models[1]} alone on ${behind}, neither on ${neither}`
      + (unknown ? `, and ${unknown} cannot be told. ` : ". ");
    if (keep === 2) sentence += "Settled: neither is better than the other.";
    else if (keep >= 0)
      sentence += `Settled: keep ${models[keep]}. It is at least as good as ${models[1 - keep]}, `
        + (sure[keep] ? "whatever the other labels are." : `wrong at most ${often} times in 100.`);
    else {
      const leader = evidence[0] >= evidence[1] ? 0 : 1;
      sentence += `Not settled: the evidence for ${models[leader]} is ${oneDecimal(evidence[leader])}, and ${(1 / alpha).toFixed(0)} is enough.`;
    }
    sentence += ` On all ${setup.photos} photos ${models[0]} is ${signed(low)} to ${signed(high)} points better than ${models[1]}.`;
  }
  return {labelled: labels.length, counts: [ahead, behind, neither, unknown], evidence, low, high, settled: keep >= 0, keep, sentence};
}

function accuracy(setup, labels) {
  const total = setup.files.length, often = Math.round(100 * setup.level);
  let right = 0, wrong = 0, none = 0, unknown = 0;
  labels.forEach((label, place) => {
    if (label === setup.classes[setup.told[place][0]]) right++;
    else if (label === setup.none) none++;
    else if (label === "") unknown++;
    else wrong++;
  });
  const left = total - labels.length;
  const share = total - none - unknown ? shareBounds(right, wrong, left, setup.level) : [0, 1];
  const [low, high] = share.map(part => 100 * part);
  const settled = total > 0 && high - low <= setup.goal + TINY;
  let sentence = `${labels.length} of ${total} photos are labelled, and ${setup.models[0]} is right on ${right} of ${right + wrong}. `;
  if (none) sentence += `${none} more show none of these classes. `;
  if (unknown) sentence += `${unknown} more cannot be told. `;
  sentence += `Of all photos of these classes ${oneDecimal(low)} to ${oneDecimal(high)} % are right, wrong at most ${often} times in 100. `;
  sentence += settled ? `Settled: the interval is at most ${general(setup.goal)} points wide.`
    : `Not settled: the interval is ${oneDecimal(high - low)} points wide, and ${general(setup.goal)} is the aim.`;
  return {labelled: labels.length, counts: [right, wrong, none, unknown], evidence: [0, 0], low, high, settled, keep: -1, sentence};
}

function teach(setup, labels) {
  const given = name => labels.filter(label => label === name).length;
  const none = given(setup.none), unknown = given(""), named = labels.length - none - unknown;
  const counts = setup.classes.map(given), least = Math.min(...counts), fewest = setup.classes[counts.indexOf(least)];
  const goal = Math.floor(setup.goal), settled = least >= goal;
  const sentence = `${named} photos are labelled to teach. `
    + (settled ? `Settled: every class has at least ${goal}.`
      : `Not settled: ${fewest} has ${least}, and ${goal} of each class is the aim.`);
  return {labelled: labels.length, counts: [named, none, unknown, least], evidence: [0, 0], low: 0, high: 0, settled, keep: -1, sentence};
}
