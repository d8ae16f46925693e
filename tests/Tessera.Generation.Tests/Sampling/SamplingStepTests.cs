using FsCheck;
using FsCheck.Fluent;
using Tessera.Generation.Sampling;
using Tessera.Tensors;
using Tessera.Testing;

namespace Tessera.Generation.Tests.Sampling;

public sealed class SamplingStepTests
{
    private static readonly ReferenceTensors s_reference = new(Fixture.Local("sampling/expected.safetensors"));

    [Theory]
    [InlineData("temperature-0.7")]
    [InlineData("top_k-5")]
    [InlineData("top_p-0.8")]
    [InlineData("min_p-0.1")]
    [InlineData("typical-0.6")]
    [InlineData("epsilon-0.02")]
    public void Each_rule_leaves_what_transformers_leaves(string rule)
    {
        SamplingStep step = rule.Split('-')[0] switch
        {
            "temperature" => new Temperature(0.7f),
            "top_k" => new TopK(5),
            "top_p" => new TopP(0.8f),
            "min_p" => new MinP(0.1f),
            "typical" => new Typical(0.6f),
            _ => new Epsilon(0.02f),
        };
        for (var row = 0; row < 4; row++)
        {
            var (left, expected) = (Left(Row("logits", row), default, step), Row(rule, row));
            var shift = expected.Max() - left.Values.Max(); // a temperature makes the greatest 0
            for (var token = 0; token < expected.Length; token++)
            {
                Assert.Equal(expected[token] != float.NegativeInfinity, left.ContainsKey(token));
                if (left.TryGetValue(token, out var logit)) Assert.Equal(expected[token], logit + shift, 1e-5f);
            }
        }
    }

    [Theory]
    [InlineData("repetition-1.3")]
    [InlineData("no_repeat-2")]
    [InlineData("frequency-0.5")]
    [InlineData("presence-0.5")]
    public void Each_penalty_gives_what_transformers_and_openai_give(string rule)
    {
        LogitsProcessor processor = rule.Split('-')[0] switch
        {
            "repetition" => new RepetitionPenalty(1.3f),
            "no_repeat" => new NoRepeatNgram(2),
            "frequency" => new PresencePenalty(0, 0.5f),
            _ => new PresencePenalty(0.5f),
        };
        for (var row = 0; row < 4; row++)
        {
            var tokens = s_reference.Ints("input_ids").AsSpan(row * 15, 15);
            var (logits, expected) = (Row("logits", row), Row(rule, row));
            processor.Apply(logits, new TokenHistory(tokens, 15));
            for (var token = 0; token < logits.Length; token++) Assert.Equal(expected[token], logits[token], 1e-5f);
        }
    }

    [Fact]
    public void Penalties_know_only_the_last_tokens_of_their_window()
    {
        float[] logits = [1, 1, 1, 1];
        new PresencePenalty(0.5f, 0.25f, window: 3).Apply(logits, new TokenHistory([0, 1, 2, 1], 4));
        Assert.Equal([1f, 0, 0.25f, 1], logits);
        new RepetitionPenalty(2, window: 1).Apply(logits, new TokenHistory([3, 0], 2));
        Assert.Equal([0.5f, 0, 0.25f, 1], logits);
    }

    /// <summary>Any rules one after the other, against lists that are sorted anew each time.</summary>
    [Fact]
    public void Lists_are_ordered_and_cut_as_if_they_were_sorted_anew() =>
        Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new CounterRandom((ulong)seed);
            var vocabulary = 1 + random.Below(random.Below(2, 0) == 0 ? 20 : 2000, 1);
            float[] logits = [.. Enumerable.Range(0, vocabulary).Select(token => MathF.Round(8 * (float)random.Derive("logits").Normal((ulong)token)) / 4)];
            var expected = logits.Index().ToList();
            var candidates = new Candidates();
            candidates.Load(logits);
            for (var round = 2UL; round < 8; round++)
            {
                var k = 1 + random.Below(Math.Min(expected.Count, 150), round * 10);
                switch (random.Below(4, round))
                {
                    case 0:
                        candidates.Order(k);
                        candidates.Take(k);
                        expected = [.. Likeliest(expected).Take(k)];
                        break;
                    case 1:
                        candidates.Order(k);
                        candidates.Skip(k);
                        expected = [.. Likeliest(expected).Skip(Math.Min(k, expected.Count - 1))];
                        break;
                    case 2:
                        var least = expected[k - 1].Item;
                        candidates.KeepFrom(least);
                        expected.RemoveAll(one => one.Item < least);
                        break;
                    default:
                        candidates.Order(k);
                        Assert.Equal(Likeliest(expected).Take(k).Select(one => one.Index), candidates.Tokens[..Math.Min(k, candidates.Count)].ToArray());
                        break;
                }

                Assert.Equal(expected.Select(one => one.Index).Order(), candidates.Tokens.ToArray().Order());
                for (var place = 0; place < candidates.Count; place++)
                {
                    Assert.Equal(logits[candidates.Tokens[place]], candidates.Logits[place]);
                    Assert.Equal(MathF.Exp(candidates.Logits[place] - expected.Max(one => one.Item)), candidates.Weights[place], 1e-6f);
                }
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(200));

    [Fact]
    public void Xtc_takes_away_all_good_tokens_but_the_last_and_as_often_as_it_is_told()
    {
        float[] logits = [.. new[] { 0.4, 0.3, 0.15, 0.1, 0.05 }.Select(p => (float)Math.Log(p))];
        Assert.Equal([2, 3, 4], Left(logits, default, new ExcludeTopChoices(1, 0.12f, 1)).Keys.Order());
        Assert.Equal([0, 1, 2, 3, 4], Left(logits, default, new ExcludeTopChoices(1, 0.35f, 1)).Keys.Order()); // one good token stays
        var step = new ExcludeTopChoices(0.3f, 0.12f, 7);
        var taken = Enumerable.Range(0, 4000).Count(position => Left(logits, new int[position], step).Count == 3);
        Assert.InRange(taken, 1200 - 150, 1200 + 150);
    }

    [Fact]
    public void Mirostat_keeps_the_surprise_near_its_target_whatever_the_distribution()
    {
        foreach (var (target, spread) in new[] { (2f, 1.5f), (4f, 1f), (6f, 1f) })
        {
            float[] logits = [.. Enumerable.Range(1, 2000).Select(rank => -spread * MathF.Log(rank))];
            var sampler = new MultinomialSampler(new SamplingOptions(Seed: 3) { Mirostat = target });
            var (tokens, surprise) = (new int[3000], 0.0);
            for (var position = 0; position < tokens.Length; position++)
            {
                var history = new TokenHistory(tokens.AsSpan(0, position), 0);
                tokens[position] = sampler.Choose(logits, history).Token;
            }

            var total = logits.Sum(logit => Math.Exp(logit));
            foreach (var token in tokens.AsSpan(500)) surprise -= Math.Log2(Math.Exp(logits[token]) / total);
            Assert.InRange(surprise / (tokens.Length - 500), target - 0.2, target + 0.2);
        }
    }

    [Fact]
    public void Mirostat_goes_on_from_where_a_sequence_went_back_to()
    {
        float[] logits = [.. Enumerable.Range(1, 500).Select(rank => -MathF.Log(rank))];
        var options = new SamplingOptions(Seed: 3) { Mirostat = 3 };
        var (once, twice) = (Text(new MultinomialSampler(options), 40), new MultinomialSampler(options));
        Text(twice, 25);
        Assert.Equal(once, Text(twice, 40)); // began again

        int[] Text(Sampler sampler, int length)
        {
            var tokens = new int[length];
            for (var position = 0; position < length; position++)
                tokens[position] = sampler.Choose(logits, new TokenHistory(tokens.AsSpan(0, position), 0)).Token;
            return tokens;
        }
    }

    /// <summary>Against a search for each earlier place, as long as the run goes.</summary>
    [Fact]
    public void Dry_punishes_each_token_by_the_longest_run_that_it_would_go_on_with() =>
        Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new CounterRandom((ulong)seed);
            int[] tokens = [.. Enumerable.Range(0, random.Below(60, 0)).Select(place => random.Derive("tokens").Below(3, (ulong)place))];
            var options = new DryOptions(0.7f, 1.5f, 1 + random.Below(4, 1), random.Below(2, 2) * 25) { Breakers = random.Below(2, 3) == 0 ? [] : [2] };
            float[] logits = [1, 2, 3, 4], expected = [1, 2, 3, 4];
            new DryPenalty(options).Apply(logits, new TokenHistory(tokens, tokens.Length));
            var seen = options.Window == 0 ? tokens : tokens.TakeLast(options.Window).ToArray();
            for (var token = 0; token < 4; token++)
            {
                var longest = 0;
                for (var place = 1; place < seen.Length; place++)
                {
                    var run = 0;
                    while (run < place && seen[place - 1 - run] == seen[^(1 + run)] && !options.Breakers.Contains(seen[^(1 + run)])) run++;
                    if (seen[place] == token) longest = Math.Max(longest, run);
                }

                if (longest >= options.AllowedLength) expected[token] -= MathF.Min(1e4f, 0.7f * MathF.Pow(1.5f, longest - options.AllowedLength));
            }

            for (var token = 0; token < 4; token++) Assert.Equal(expected[token], logits[token], 1e-3f * (1 + MathF.Abs(expected[token])));
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void The_order_is_the_users()
    {
        // Of 0.6, 0.3, 0.1 at temperature 3 min-p ½ leaves all; before the temperature it leaves two.
        float[] logits = [.. new[] { 0.6, 0.3, 0.1 }.Select(p => (float)Math.Log(p))];
        Assert.Equal(3, Drawn(null));
        Assert.Equal(2, Drawn(["min-p", "temperature"]));
        // A penalty behind top-k cannot bring the third back, before it can take the first out.
        var biases = new Dictionary<int, float> { [0] = -100 };
        Assert.Equal([1], DrawnWith(new SamplingOptions(TopK: 2) { LogitBias = biases, Order = ["top-k", "bias"] }));
        Assert.Equal([1, 2], DrawnWith(new SamplingOptions(TopK: 2) { LogitBias = biases }));

        int Drawn(string[]? order) => DrawnWith(new SamplingOptions(3) { MinP = 0.5f, Order = order }).Count;

        List<int> DrawnWith(SamplingOptions options)
        {
            var sampler = Sampler.Of(options);
            return [.. Enumerable.Range(0, 300).Select(place => sampler.Choose(logits, new TokenHistory(new int[place], 0)).Token).Distinct().Order()];
        }
    }

    [Fact]
    public void A_logit_that_is_no_number_is_told_by_every_sampler()
    {
        float[] logits = [1, 2, float.NaN, 3];
        DecodingOptions[] all =
            [new GreedyOptions(), new SamplingOptions(), new SamplingOptions { MinP = 0.1f }, new SamplingOptions(TopK: 1) { Mirostat = 3 }];
        foreach (var options in all)
        {
            var error = Assert.Throws<InvalidOperationException>(() => Sampler.Of(options).Choose(logits, new TokenHistory([7, 8], 1, 5)));
            Assert.Equal("the logit of token 2 is NaN at position 1 of sequence 5", error.Message);
        }
    }

    [Fact]
    public void Rules_made_in_code_check_their_options()
    {
        Func<SamplingStep>[] wrong =
        [
            () => new Temperature(0), () => new TopK(0), () => new TopP(float.NaN), () => new MinP(0), () => new Typical(1),
            () => new Epsilon(1), () => new ExcludeTopChoices(0, 0.1f, 1), () => new ExcludeTopChoices(1, 0.6f, 1),
            () => new Mirostat(0, 0.1f), () => new Mirostat(3, float.PositiveInfinity),
        ];
        foreach (var make in wrong) Assert.Contains("; allowed: ", Assert.Throws<ArgumentException>(make).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_out_of_their_range_are_told()
    {
        AssertTold("min-p is 2; allowed: 0 to 1", new SamplingOptions { MinP = 2 });
        AssertTold("typical-p is 0; allowed: greater than 0", new SamplingOptions { TypicalP = 0 });
        AssertTold("epsilon is 1; allowed: 0 to below 1", new SamplingOptions { Epsilon = 1 });
        AssertTold("xtc threshold is 0.6; allowed: greater than 0, at most 0.5", new SamplingOptions { XtcThreshold = 0.6f });
        AssertTold("mirostat is -1; allowed: at least 0", new SamplingOptions { Mirostat = -1 });
        AssertTold("presence penalty is NaN; allowed: -1000 to 1000", new GreedyOptions { PresencePenalty = float.NaN });
        AssertTold("penalty window is -1; allowed: at least 0", new GreedyOptions { PenaltyWindow = -1 });
        AssertTold("dry base is 0.5; allowed: at least 1", new GreedyOptions { Dry = new DryOptions(Base: 0.5f) });
        AssertTold("the logit bias of token -1 is 2", new GreedyOptions { LogitBias = new Dictionary<int, float> { [-1] = 2 } });
        AssertTold("order names 'top_k'; allowed: bias, repetition, presence, dry, no-repeat, temperature", new SamplingOptions { Order = ["top_k"] });
        AssertTold("order names top-k twice", new SamplingOptions { Order = ["top-k", "top-k"] });
        AssertTold("order has something after mirostat", new SamplingOptions(TopK: 3) { Mirostat = 3, Order = ["mirostat", "top-k"] });
        AssertTold("order leaves out min-p, which is set", new SamplingOptions { MinP = 0.1f, Order = ["temperature"] });
        var beyond = Sampler.Of(new GreedyOptions { LogitBias = new Dictionary<int, float> { [5] = 2 } });
        var error = Assert.Throws<ArgumentException>(() => beyond.Choose([1, 2, 3], default));
        Assert.Equal("there is a logit bias for token 5; the model's are 0 to 2", error.Message);

        static void AssertTold(string message, DecodingOptions options) =>
            Assert.StartsWith(message, Assert.Throws<ArgumentException>(options.Validate).Message, StringComparison.Ordinal);
    }

    private static IEnumerable<(int Index, float Item)> Likeliest(IEnumerable<(int Index, float Item)> tokens) =>
        tokens.OrderByDescending(one => one.Item).ThenBy(one => one.Index);

    private static float[] Row(string tensor, int row) => s_reference.Floats(tensor)[(row * 40)..((row + 1) * 40)];

    private static Dictionary<int, float> Left(float[] logits, int[]? generated, SamplingStep step)
    {
        var candidates = new Candidates();
        candidates.Load(logits);
        step.Apply(candidates, new TokenHistory(generated ?? [], 0));
        return Enumerable.Range(0, candidates.Count).ToDictionary(place => candidates.Tokens[place], place => candidates.Logits[place]);
    }
}
