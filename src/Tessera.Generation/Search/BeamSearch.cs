using Tessera.Generation.Sampling;
using Tessera.Models;
using Tessera.Models.Decoding;
using Tessera.Tensors;

namespace Tessera.Generation.Search;

/// <summary>
/// Beam search over several prompts at once, as Hugging Face transformers defines it: of the 2 · width best continuations of
/// a prompt's beams, those that end among the best <c>width</c> are finished, and the best <c>width</c> that do not end go
/// on.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="options">How many beams, and how they are scored.</param>
/// <param name="maxNewTokens">The greatest number of tokens.</param>
/// <param name="stopTokens">The tokens that end a sequence.</param>
internal sealed class BeamSearch(SequenceModel model, BeamOptions options, int maxNewTokens, int[] stopTokens)
{
    private readonly int _width = options.Width;
    private readonly LogitsProcessorChain _processors = LogitsProcessorChain.Of(options);

    /// <summary>The best sequence of each prompt, best first where several are wanted.</summary>
    /// <param name="prompts">Token ids.</param>
    /// <param name="cancellation">Stops between two tokens.</param>
    /// <param name="numbers">Which prompt each is of all that were asked for; these are all where null.</param>
    /// <returns>For each prompt up to <c>width</c> sequences, the best first.</returns>
    public IReadOnlyList<IReadOnlyList<Generated>> Run(IReadOnlyList<int[]> prompts, CancellationToken cancellation, int[]? numbers = null)
    {
        var session = new DecodingSession(model);
        var sequences = Prompts.Join(session, model, prompts, maxNewTokens);
        var searches = sequences.Select((sequence, prompt) => new Search(this, sequence, numbers?[prompt] ?? prompt)).ToList();
        var live = searches.ToList();
        for (var length = 1; length <= maxNewTokens && live.Count > 0; length++)
        {
            cancellation.ThrowIfCancellationRequested();
            using (Arena.Current.Scope())
            {
                var logits = session.Step();
                foreach (var search in live) search.Advance(logits, length);
            }

            foreach (var search in live) search.Follow(length < maxNewTokens);
            live.RemoveAll(search => search.IsDone);
        }

        return [.. searches.Select(search => search.Finish())];
    }

    /// <summary>The beams of one prompt.</summary>
    /// <param name="owner">Its options.</param>
    /// <param name="first">Reads what stands before the text.</param>
    /// <param name="number">Which prompt of all that were asked for.</param>
    private sealed class Search(BeamSearch owner, DecodingSequence first, int number)
    {
        private readonly List<Generated> _finished = [];
        private readonly int _before = first.Length;
        private List<Beam> _beams = [new([], 0, first, owner.Constraint())];
        private List<DecodingSequence> _sequences = [first];

        public bool IsDone { get; private set; }

        /// <summary>Follows every beam one token further.</summary>
        public void Advance(Tensor logits, int length)
        {
            var continuations = new List<Beam>();
            var going = new List<Beam>();
            for (var i = 0; i < _beams.Count; i++)
            {
                var scores = logits.Floats.Slice(_beams[i].Sequence.LogitsRow * logits.Shape[1], logits.Shape[1]);
                var total = Sampler.LogSumExp(scores);
                if (owner._processors.Processors.Count > 0 || _beams[i].Constraint is not null)
                {
                    scores = Processed(scores, total, _beams[i]);
                    total = 0;
                }

                foreach (var token in Best(scores, 2 * owner._width))
                    if (scores[token] > float.NegativeInfinity)
                        continuations.Add(_beams[i].With(token, scores[token] - total));
            }

            // A stable sort: of equals the earlier beam, then the lower token.
            var ranked = continuations.OrderByDescending(beam => beam.LogProbability).Take(2 * owner._width).ToList();
            for (var rank = 0; rank < ranked.Count && going.Count < owner._width; rank++)
            {
                if (!owner.Ends(ranked[rank].Ids[^1])) going.Add(ranked[rank].Accepted());
                else if (rank < owner._width) Add(ranked[rank], FinishReason.StopToken);
            }

            _beams = going;
            IsDone = _beams.Count == 0 || (_finished.Count >= owner._width && (owner.Early || !CanImprove(length)));
        }

        /// <summary>Gives each beam that goes on a sequence of its own, a fork where several continue one, and its last token to
        /// read.</summary>
        /// <param name="reads">Whether there is a further step.</param>
        public void Follow(bool reads)
        {
            if (IsDone || !reads)
            {
                foreach (var sequence in _sequences) sequence.Remove();
                return;
            }

            var taken = new HashSet<DecodingSequence>();
            _beams = _beams.ConvertAll(beam => beam with { Sequence = taken.Add(beam.Sequence) ? beam.Sequence : beam.Sequence.Fork() });
            foreach (var sequence in _sequences.Where(sequence => !taken.Contains(sequence))) sequence.Remove();
            _sequences = _beams.ConvertAll(beam => beam.Sequence);
            foreach (var beam in _beams) beam.Sequence.Read(beam.Ids[^1]);
        }

        /// <summary>All that was finished, and what was still running where the limit was reached; the best first.</summary>
        public List<Generated> Finish()
        {
            if (!IsDone)
                foreach (var beam in _beams.Where(beam => beam.Ids.Length > 0)) Add(beam, FinishReason.Length);
            return _finished;
        }

        /// <summary>Log-probabilities as processors and the constraint change them: their exponentials no longer add up to 1. That of
        /// the beam is made of them.</summary>
        private Span<float> Processed(ReadOnlySpan<float> scores, double total, Beam beam)
        {
            var logProbabilities = new float[scores.Length];
            for (var token = 0; token < scores.Length; token++) logProbabilities[token] = (float)(scores[token] - total);
            var history = new TokenHistory(beam.Sequence.Tokens, _before, number);
            return owner._processors.Apply(logProbabilities, history, beam.Constraint).ToArray();
        }

        private bool CanImprove(int length) => Score(_beams[0].LogProbability, length) > _finished[^1].Score;

        private void Add(Beam beam, FinishReason reason)
        {
            var ids = reason == FinishReason.StopToken ? beam.Ids[..^1] : beam.Ids;
            _finished.Add(new Generated(ids, Score(beam.LogProbability, beam.Ids.Length), reason));
            var best = _finished.OrderByDescending(found => found.Score).Take(owner._width).ToList();
            _finished.Clear();
            _finished.AddRange(best);
        }

        private double Score(double logProbability, int length) => logProbability / Math.Pow(length, owner.Penalty);

        private static IEnumerable<int> Best(ReadOnlySpan<float> scores, int count)
        {
            var best = new PriorityQueue<int, (float Score, int Order)>();
            for (var token = 0; token < scores.Length; token++)
            {
                if (best.Count < count) best.Enqueue(token, (scores[token], -token));
                else if (best.TryPeek(out _, out var worst) && scores[token] > worst.Score)
                    best.EnqueueDequeue(token, (scores[token], -token));
            }

            return best.UnorderedItems.OrderByDescending(item => item.Priority).Select(item => item.Element);
        }
    }

    private bool Ends(int token) => stopTokens.Contains(token);

    private bool Early => options.EarlyStopping;

    private float Penalty => options.LengthPenalty;

    private TokenConstraint? Constraint() => options.ConstraintOf(stopTokens);

    /// <param name="Ids">What it has written.</param>
    /// <param name="LogProbability">Of all its tokens.</param>
    /// <param name="Sequence">What has read all but its last token.</param>
    /// <param name="Constraint">Where its last token is not accepted yet, that of the beam it continues.</param>
    private readonly record struct Beam(int[] Ids, double LogProbability, DecodingSequence Sequence, TokenConstraint? Constraint)
    {
        public Beam With(int token, double logProbability) =>
            new([.. Ids, token], LogProbability + logProbability, Sequence, Constraint);

        public Beam Accepted()
        {
            var constraint = Constraint?.Fork();
            constraint?.Accept(Ids[^1]);
            return this with { Constraint = constraint };
        }
    }
}
