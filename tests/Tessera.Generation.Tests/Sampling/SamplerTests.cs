using System.Numerics.Tensors;
using FsCheck;
using FsCheck.Fluent;
using Tessera.Generation.Sampling;
using Tessera.Tensors;

namespace Tessera.Generation.Tests.Sampling;

public sealed class SamplerTests
{
    private static readonly string[] s_otherOrder = ["top-k", "typical", "min-p", "no-repeat", "xtc", "temperature", "mirostat"];

    /// <summary>The same seed gives the same texts as ever: the random number, the order of equals and of sums stay as they are.</summary>
    [Fact]
    public void Every_draw_is_that_of_the_whole_list_in_order() =>
        Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new CounterRandom((ulong)seed);
            var logits = Logits(random.Below(3, 0) == 0 ? 3000 : 1 + random.Below(80, 1), random);
            var topK = random.Below(3, 2) == 0 ? 0 : 1 + random.Below(random.Below(2, 3) == 0 ? 11 : logits.Length + 5, 4);
            var options = new SamplingOptions(
                (float)Math.Exp(random.Normal(5)), topK, random.Below(2, 6) == 0 ? 1 : 1 - (float)random.Uniform(7), random.Bits(8));
            var (sampler, sequence) = (new MultinomialSampler(options), random.Below(1000, 9));
            for (var position = 0; position < 8; position++)
            {
                var history = new TokenHistory(new int[5 + position], 5, sequence);
                Assert.Equal(Draw(logits, options, sequence, position), sampler.Choose(logits, history).Token);
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(400));

    [Fact]
    public void Greedy_takes_the_greatest_and_of_equals_the_first()
    {
        Assert.Equal(2, new GreedySampler().Choose([1, -3, 4, 4, 2], default).Token);
        Assert.Equal(4, new GreedySampler().Choose([1, -3, 4, 4, 2], default, new ForbiddenTokens(2, 3)).Token);
    }

    [Fact]
    public void A_log_probability_is_the_models_own_and_computed_only_where_asked()
    {
        var logits = Logits(50, new CounterRandom(3));
        var total = Math.Log(logits.Sum(logit => Math.Exp(logit)));
        foreach (var sampler in new Sampler[]
        {
            new GreedySampler(), new MultinomialSampler(new SamplingOptions(0.7f, TopK: 9, Seed: 2)),
            new GreedySampler { Processors = new LogitsProcessorChain(new RepetitionPenalty(3)) },
        })
        {
            var history = new TokenHistory([4, 9, 4], 3);
            var chosen = sampler.Choose(logits, history, new ForbiddenTokens(0), wantsLogProbability: true);
            Assert.Equal(logits[chosen.Token] - total, chosen.LogProbability!.Value, 1e-5);
            Assert.Equal(new SampledToken(chosen.Token, null), sampler.Choose(logits, history, new ForbiddenTokens(0)));
        }
    }

    /// <summary>Rounding of the draw reaches the end of the list sooner or later: what stands there must be able to come.</summary>
    [Fact]
    public void A_token_that_is_taken_away_is_never_drawn() =>
        Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new CounterRandom((ulong)seed);
            var logits = Logits(70, random);
            int[] allowed = [.. Enumerable.Range(0, 70).Where(token => random.Below(8, 1000 + (ulong)token) == 0).DefaultIfEmpty(33)];
            var constraint = new AllowedTokens(allowed);
            foreach (var (topK, topP) in new[] { (0, 1f), (40, 1), (0, 0.9f), (5, 0.5f) })
            {
                var sampler = new MultinomialSampler(new SamplingOptions(3, topK, topP, (ulong)seed));
                for (var position = 0; position < 20; position++)
                    Assert.Contains(sampler.Choose(logits, new TokenHistory(new int[position], 0), constraint).Token, allowed);
            }

            Assert.Equal(allowed.MaxBy(token => logits[token]), new GreedySampler().Choose(logits, default, constraint).Token);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Choosing_allocates_nothing_once_a_token_has_been_chosen()
    {
        var (logits, tokens) = (Logits(12_000, new CounterRandom(4)), new int[300]);
        foreach (var options in new DecodingOptions[]
        {
            new GreedyOptions(), new GreedyOptions { NoRepeatNgramSize = 2 },
            new SamplingOptions(0.8f), new SamplingOptions(0.8f, 40, 0.95f), new SamplingOptions(TopP: 0.9f),
            new SamplingOptions(0.8f, 500) { MinP = 0.001f, TypicalP = 0.9f, XtcProbability = 0.5f, Mirostat = 3, Order = s_otherOrder },
            new GreedyOptions { PresencePenalty = 1, FrequencyPenalty = 0.1f, Dry = new DryOptions(), LogitBias = new Dictionary<int, float> { [7] = 1 } },
        })
        {
            var (sampler, constraint) = (Sampler.Of(options), new CombinedConstraint(new MinimumLength(250, 2), new ForbiddenTokens(1, 7000)));
            Choose(2);
            var before = GC.GetAllocatedBytesForCurrentThread();
            Choose(20);
            Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

            void Choose(int count)
            {
                for (var i = 0; i < count; i++)
                {
                    var history = new TokenHistory(tokens.AsSpan(0, 100 + i), 5);
                    sampler.Choose(logits, history);
                    constraint.Accept(sampler.Choose(logits, history, constraint, wantsLogProbability: true).Token);
                }
            }
        }
    }

    [Fact]
    public void Scores_that_nobody_asks_for_are_not_there_and_change_no_token()
    {
        var model = TinyModel.Build(readsSource: false, 300, seed: 2);
        var with = Generator.Generate(model, [[5, 6], [9]], new SamplingOptions(Seed: 5), 12);
        var without = Generator.Generate(model, [[5, 6], [9]], new SamplingOptions(Seed: 5), 12, wantsScores: false);
        Assert.Equal(with.Select(found => found.Ids), without.Select(found => found.Ids));
        Assert.All(with, found => Assert.InRange(found.Score, -200, 0));
        Assert.All(without, found => Assert.Equal(double.NaN, found.Score));
    }

    /// <summary>The whole list in order, the nucleus of what top-k leaves, the draw by subtraction.</summary>
    private static int Draw(float[] logits, SamplingOptions options, int sequence, int position)
    {
        var order = Enumerable.Range(0, logits.Length).ToArray();
        if (options.TopK > 0 && options.TopK < order.Length) order = [.. Likeliest(order).Take(options.TopK)];
        var scaled = logits.Select(logit => (logit - logits.Max()) / options.Temperature).ToArray();
        if (options.TopP < 1)
        {
            order = [.. Likeliest(order)];
            var (wanted, kept, held) = (options.TopP * Weights(order).Sum(), 0, 0.0);
            while (kept < order.Length && (kept == 0 || held < wanted)) held += Weights(order)[kept++];
            order = order[..kept];
        }

        var draw = new CounterRandom(options.Seed).Derive((ulong)sequence).Uniform((ulong)position);
        // Of a whole vocabulary by its ids, else the likeliest first: what an interval of the random number means.
        var target = draw * Weights(order).Sum();
        foreach (var token in order)
            if ((target -= Weights([token])[0]) < 0) return token;
        return order.Last(token => Weights([token])[0] > 0);

        IEnumerable<int> Likeliest(int[] tokens) => tokens.OrderByDescending(token => logits[token]).ThenBy(token => token);

        double[] Weights(int[] tokens)
        {
            var weights = tokens.Select(token => scaled[token]).ToArray();
            TensorPrimitives.Exp(weights, weights);
            return [.. weights.Select(weight => (double)weight)];
        }
    }

    /// <summary>Some of them equal.</summary>
    private static float[] Logits(int vocabulary, CounterRandom random) =>
        [.. Enumerable.Range(0, vocabulary).Select(token => MathF.Round((float)random.Derive("logits").Normal((ulong)token) * 24) / 8)];
}
