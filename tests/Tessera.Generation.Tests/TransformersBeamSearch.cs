using Tessera.Models;

namespace Tessera.Generation.Tests;

/// <summary>
/// What <c>generate(num_beams=…)</c> of Hugging Face transformers does with one prompt, written down from its description in
/// arrays of fixed size with −10⁹ for what is not there, and without caches.
/// </summary>
internal static class TransformersBeamSearch
{
    private const double Nothing = -1e9;

    public static (IReadOnlyList<int> Ids, double Score) Best(SequenceModel model, int[] prompt, BeamOptions options, int maxNewTokens)
    {
        var width = options.Width;
        var running = Enumerable
            .Range(0, width)
            .Select(beam => (Ids: Array.Empty<int>(), LogProbability: beam == 0 ? 0 : Nothing))
            .ToArray();
        var finished = Enumerable.Repeat((Ids: Array.Empty<int>(), Score: Nothing, IsThere: false), width).ToArray();
        var canImprove = true;
        for (var length = 1; canImprove; length++)
        {
            var candidates = running
                .SelectMany(beam => TinyModel.LogProbabilities(model, prompt, beam.Ids)
                    .Select((log, token) => (Ids: (int[])[.. beam.Ids, token], LogProbability: beam.LogProbability + log)))
                .OrderByDescending(candidate => candidate.LogProbability).Take(2 * width).ToArray();
            var stops = candidates.Select(candidate => candidate.Ids[^1] == SpecialTokens.End || length == maxNewTokens).ToArray();

            running =
            [
                .. candidates
                    .Zip(stops, (candidate, isOver) =>
                        candidate with
                        {
                            LogProbability = candidate.LogProbability + (isOver ? Nothing : 0),
                        }
                    )
                    .OrderByDescending(beam => beam.LogProbability)
                    .Take(width),
            ];
            var isFull = options.EarlyStopping && finished.All(sequence => sequence.IsThere);
            var ended = candidates.Take(width).Where((_, rank) => stops[rank] && !isFull)
                .Select(candidate =>
                    (candidate.Ids, Score: candidate.LogProbability / Math.Pow(length, options.LengthPenalty), IsThere: true)
                );
            finished = [.. finished.Concat(ended).OrderByDescending(sequence => sequence.Score).Take(width)];

            var best = running[0].LogProbability / Math.Pow(length, options.LengthPenalty);
            var isOpen = !(options.EarlyStopping && finished.All(sequence => sequence.IsThere));
            canImprove =
                isOpen && best > finished.Min(sequence => sequence.IsThere ? sequence.Score : Nothing) && !stops.All(isOver => isOver);
        }

        return (finished[0].Ids, finished[0].Score);
    }
}
