using System.Text.Json;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Tessera.Cli.Tests;

/// <summary>Assemblies of others, compiled here, whose parts recipes, models and the catalogue know once they are named.</summary>
[Collection(TinyRunCollection.Name)]
public sealed class OwnPartsTests(TinyRun tiny)
{
    private const string Halved =
        """
        using Tessera.Nn;
        using Tessera.Nn.Norms;
        using Tessera.Tensors;

        [Part("own-halved")]
        public sealed record OwnHalvedOptions(float Epsilon = 1e-3f, int Times = 1) : NormOptions(Epsilon)
        {
            public override Norm Build(PartBuilder part) => new OwnHalved(this, part);
        }

        public sealed class OwnHalved : Norm
        {
            private readonly OwnHalvedOptions _options;
            private readonly Norm _norm;

            public OwnHalved(OwnHalvedOptions options, PartBuilder part)
            {
                part.Require(options.Times > 0, "times", options.Times, "at least 1");
                _options = options;
                _norm = Own("inner", new RmsNormOptions(options.Epsilon).Build(part));
            }

            public override Tensor Forward(Tensor x)
            {
                x = _norm.Forward(x);
                for (var time = 0; time < _options.Times; time++) x = Op.Scale(x, 0.5f);
                return x;
            }
        }
        """;

    [Fact]
    public void A_recipe_trains_with_an_own_part_and_its_model_runs_where_the_assembly_is_named()
    {
        Directory.CreateDirectory(tiny.In("own"));
        Compile("own/Halved.dll", Halved);
        const string Named = """
            "name": "own", "parts": ["own/Halved.dll"]
            """;
        tiny.Write("own.json", TinyRun.Recipe.Replace("\"name\": \"tiny\"", Named, StringComparison.Ordinal));
        string[] swap = ["--set", "model.decoder.norm.times=2", "--set", "model.decoder.norm=own-halved"];
        var trained = tiny.Tessera(["train", "own.json", "--out", "own-run", "--set", "phases[0].steps=2", .. swap]);
        Assert.Equal((0, ""), (trained.Code, trained.Error));

        var written = tiny.Tessera("generate", "own-run", "alpha", "--max-tokens", "3", "--json", "--parts", tiny.In("own", "Halved.dll"));
        Assert.Equal((0, ""), (written.Code, written.Error));
        Assert.True(JsonDocument.Parse(written.Output).RootElement.GetProperty("score").GetDouble() < 0); // a log-likelihood

        var unknown = tiny.Tessera("generate", "own-run", "alpha");
        var expected =
            $"tessera: {Path.Combine("own-run", "config.json")}: model.decoder.norm.kind: is \"own-halved\"; allowed: rms, layer\n";
        Assert.Equal((2, expected), (unknown.Code, unknown.Error));

        var refused = tiny.Tessera(["recipe", "check", "own.json", .. swap, "--set", "model.decoder.norm.times=0"]);
        Assert.Equal((2, "tessera: model.decoder.norm.times: is 0; allowed: at least 1\n"), (refused.Code, refused.Error));
    }

    [Fact]
    public void The_catalogue_and_the_schema_have_own_parts_among_the_others()
    {
        Compile("Halved.dll", Halved);
        var (catalogue, plain) = (tiny.Tessera("recipe", "parts", "--parts", "Halved.dll"), tiny.Tessera("recipe", "parts"));
        Assert.Equal((0, ""), (catalogue.Code, catalogue.Error));
        Assert.Contains("### `layer`", catalogue.Output, StringComparison.Ordinal);
        Assert.Contains(
            "### `own-halved`\n\n| option | default | |\n|---|---|---|\n| `times` | `1` |  |\n| `epsilon` | `0.001` |", catalogue.Output,
            StringComparison.Ordinal);
        Assert.DoesNotContain("own-halved", plain.Output, StringComparison.Ordinal);
        var schema = tiny.Tessera("recipe", "schema", "--parts", "Halved.dll");
        Assert.Contains("\"const\": \"own-halved\"", schema.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_family_of_another_assembly_reads_configurations()
    {
        Compile("Own.Family.dll",
            """
            using System.Text.Json.Nodes;
            using Tessera.Models;
            using Tessera.Models.Formats;
            using Tessera.Models.Formats.HuggingFace;

            public sealed class OwnFamily : DecoderFamily
            {
                public override string Name => "Own";
                public override System.Collections.Generic.IReadOnlyList<string> ModelTypes => ["own_tiny"];
                public override string Architecture => "OwnForCausalLM";
                public override TensorNames Names(DecoderOptions options) => new();
                protected override DecoderOptions Read(HuggingFaceConfig config) =>
                    throw config.Problem("own_size", config.Whole("own_size"), "another size");
                protected override void Write(DecoderOptions options, JsonObject config) { }
            }
            """);
        Directory.CreateDirectory(tiny.In("own-model"));
        tiny.Write("own-model/config.json", """{ "model_type": "own_tiny", "own_size": 7 }""");
        File.Copy(tiny.In("run", "model.safetensors"), tiny.In("own-model", "model.safetensors"), overwrite: true);
        var config = Path.Combine("own-model", "config.json");
        var unknown = tiny.Tessera("generate", "own-model", "a");
        Assert.StartsWith(
            $"tessera: {config}: model_type is own_tiny: its configuration shows no part that is known; allowed: gpt2, ", unknown.Error,
            StringComparison.Ordinal);
        Directory.CreateDirectory(tiny.In("unknown-model"));
        tiny.Write(
            "unknown-model/config.json",
            """{ "model_type": "jamba", "mamba_d_state": 16, "num_attention_heads": 4, "rms_norm_eps": 1e-6, "hidden_act": "silu" }""");
        File.Copy(tiny.In("run", "model.safetensors"), tiny.In("unknown-model", "model.safetensors"), overwrite: true);
        var inspected = tiny.Tessera("inspect", "unknown-model");
        Assert.Equal(0, inspected.Code);
        Assert.Contains("jamba (not supported)", inspected.Output, StringComparison.Ordinal);
        Assert.Contains("mixer (state space) (mamba_d_state)", inspected.Output, StringComparison.Ordinal);
        Assert.Contains("attention of heads (num_attention_heads); RMS norms (rms_norm_eps)", inspected.Output, StringComparison.Ordinal);
        var read = tiny.Tessera("inspect", "own-model", "--parts", "Own.Family.dll");
        Assert.StartsWith($"tessera: {config}: own_size is 7", read.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nothing.dll", "is '{file}'; there is no such file")]
    [InlineData("sources.txt", "is '{file}', which is no .NET assembly")]
    [InlineData("Empty.dll", "is '{file}', which has no parts: no record in it is marked [Part(\"kind\")], no class a Family")]
    [InlineData(
        "Taken.dll",
        "is '{file}', whose parts cannot be used: TakenOptions cannot be registered as 'layer': the kind is Tessera.Nn.Norms.LayerNormOptions's"
    )]
    [InlineData(
        "Nothing.dll",
        "is '{file}', whose parts cannot be used: NothingOptions cannot be registered as 'nothing': it derives from no group of parts, as MixerOptions or NormOptions are"
    )]
    [InlineData("Throwing.dll", "is '{file}', whose parts cannot be used: no such luck")]
    public void An_assembly_that_cannot_be_used_is_named_in_one_line(string file, string message)
    {
        Compile("Empty.dll", "public sealed class Nobody;");
        var layer = Halved.Replace("own-halved", "layer", StringComparison.Ordinal);
        Compile("Taken.dll", layer.Replace("OwnHalvedOptions", "TakenOptions", StringComparison.Ordinal));
        Compile("Nothing.dll", "[Tessera.Nn.Part(\"nothing\")] public sealed record NothingOptions;");
        Compile("Throwing.dll", """
            using Tessera.Models;
            using Tessera.Models.Formats;
            using Tessera.Models.Formats.HuggingFace;

            public sealed class Unlucky : DecoderFamily
            {
                public Unlucky() => throw new System.InvalidOperationException("no such\nluck");
                public override string Name => "";
                public override System.Collections.Generic.IReadOnlyList<string> ModelTypes => [];
                public override string Architecture => "";
                public override TensorNames Names(DecoderOptions options) => new();
                protected override DecoderOptions Read(HuggingFaceConfig config) => throw new System.NotSupportedException();
                protected override void Write(DecoderOptions options, System.Text.Json.Nodes.JsonObject config) { }
            }
            """);
        Complains($"--parts: {message}", tiny.In(file), "recipe", "check", "tiny.json", "--parts", file);
        Complains($"parts[0]: {message}", tiny.In(file), "recipe", "check", "tiny.json", "--set", $"parts=[\"{file}\"]");
    }

    [Fact]
    public void A_swap_notes_on_the_error_stream_what_it_drops()
    {
        var swapped = tiny.Tessera("recipe", "show", "tiny.json", "--json", "--set", "model.decoder.feedForward=gelu");
        Assert.Equal(0, swapped.Code);
        Assert.Equal(
            "tessera: note: model.decoder.feedForward is now gelu, which does not take shared (1), routed (2), active (1), "
            + "router ({\"kind\":\"two-stage\"}), expert ({\"kind\":\"swiglu\",\"hidden\":16}); dropped\n"
            + "tessera: note: phases[0].losses: the model's parts no longer report balance; dropped\n", swapped.Error);
        Assert.True(JsonDocument.Parse(swapped.Output).RootElement.GetProperty("parameters").GetInt64() > 0);
    }

    private void Complains(string message, string file, params string[] arguments)
    {
        var outcome = tiny.Tessera(arguments);
        message = message.Replace("{file}", file, StringComparison.Ordinal);
        Assert.Equal((2, $"tessera: {message}\n", ""), (outcome.Code, outcome.Error, outcome.Output));
    }

    private void Compile(string file, string source)
    {
        var assemblies = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator);
        var compilation = CSharpCompilation.Create(
            Path.GetFileNameWithoutExtension(file), [CSharpSyntaxTree.ParseText(source)],
            assemblies.Select(path => MetadataReference.CreateFromFile(path)),
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary));
        var result = compilation.Emit(tiny.In(file));
        Assert.True(result.Success, string.Join('\n', result.Diagnostics));
    }
}
