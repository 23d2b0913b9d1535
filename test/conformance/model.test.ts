/**
 * What the simulation proves is worth something only if its systems are like real ones: random
 * stories come out alike on both, by outcomes, log, rows and mark.
 */
import { expect } from 'vitest';
import { seeded } from '../simulation/random.ts';
import { conformance } from './conformance.ts';
import { install } from './installation.ts';
import { realStage, STORY_DDL, simulatedStage } from './stages.ts';
import { improvise, TABLE } from './story.ts';

const STORIES = 25;
const STEPS = 60;

conformance('model', (subject) => {
  for (let seed = 1; seed <= STORIES; seed++) {
    subject.test(`story ${seed} ends as it does in the simulation`, async () => {
      const simulated = simulatedStage(seed);
      const story = await improvise(seeded(seed, 'story'), STEPS, simulated, simulated);
      await using it = await install(subject, [TABLE], [`drop table if exists story`, STORY_DDL]);
      await using real = await realStage(it, () => subject.server().user());
      for (const step of story) await real.play(step);
      expect(await real.ending()).toEqual(await simulated.ending());
    });
  }
});
