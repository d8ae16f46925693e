using System.Globalization;
using System.Text.Json;
using Tessera.Models;
using Tessera.Models.Decoding;
using Tessera.Models.Conversion;
using Tessera.Models.Formats.Gguf;
using Tessera.Tensors;
using Tessera.Text.Tokenizers;

namespace Tessera.Benchmarks.Peers;

/// <summary>
/// <c>llama-cpp</c>: writes models as GGUF files in F32, lets llama.cpp go on with a prompt, and compares its tokens with ours; and its
/// tokens of a few texts. llama.cpp is node-llama-cpp's; where that is not installed, it says so.
/// </summary>
internal static class LlamaCppCommand
{
    private const int PromptTokens = 8, NewTokens = 32;

    // Nearer together than this, rounding decides between two tokens: llama.cpp's GELU comes from a table of half precision.
    private const float Tie = 1e-4f, TieOfTableGelu = 5e-3f;

    private static readonly string[] s_texts = ["The quick brown fox jumps", " two  spaces\tand 12345 don't", "int x = a[i] + 10; // sum"];

    /// <summary>Compares the models of folders, or those of <c>shared/fixtures</c> and some made here.</summary>
    /// <returns>The exit code: 1 where they differ.</returns>
    public static int Run(string[] folders)
    {
        var place = Directory.CreateTempSubdirectory("tessera-llama-cpp").FullName;
        try
        {
            string[] sources = folders.Length > 0 ? folders : [.. Fixtures(), .. OwnModels.Write(place)];
            var cases = sources.Select((source, index) => Case.Of(source, Path.Combine(place, $"{index}.gguf"))).ToArray();
            return Compare(cases, Path.Combine(place, "cases.jsonl")) ? 0 : 1;
        }
        catch (NotHereException reason)
        {
            Console.WriteLine($"llama.cpp cannot be asked here: {reason.Message}");
            return 0;
        }
        finally
        {
            Directory.Delete(place, recursive: true);
        }
    }

    private static IEnumerable<string> Fixtures()
    {
        for (var place = new DirectoryInfo(Environment.CurrentDirectory); place is not null; place = place.Parent)
        {
            var fixtures = Path.Combine(place.FullName, "shared", "fixtures");
            if (!Directory.Exists(fixtures)) continue;
            return Directory.GetFiles(Path.Combine(fixtures, "hf"), ModelFolder.ConfigFile, SearchOption.AllDirectories)
                .Concat(Directory.GetFiles(Path.Combine(fixtures, "gguf", "models"), ModelFolder.ConfigFile, SearchOption.AllDirectories))
                .Select(file => Path.GetDirectoryName(file)!).Order(StringComparer.Ordinal);
        }

        return [];
    }

    private static bool Compare(Case[] cases, string file)
    {
        var (isSame, tool) = (true, "");
        Console.WriteLine($"{"model",-34} {"written as",-14} {"greedy",-8} texts");
        foreach (var one in cases)
        {
            var (greedy, texts, fine) = (one.Problem ?? "", "", true);
            if (one.Problem is null)
            {
                // A process for each: what llama.cpp does not expect may end it.
                File.WriteAllText(
                    file,
                    JsonSerializer.Serialize(
                        new
                        {
                            model = one.File,
                            prompt = one.Prompt,
                            count = NewTokens,
                            texts = one.Texts.Keys,
                        }));
                var answer = Child.Run("node", Path.Combine(AppContext.BaseDirectory, "peers", "llama_cpp_greedy.mjs"), file).Lines[^1];
                ((greedy, texts, fine), tool) = (one.Judge(answer), answer.GetProperty("tool").GetString()!);
            }

            // Where the conversion has said that llama.cpp does otherwise, it may.
            var note = one.Notes.FirstOrDefault(each => each.Contains("llama.cpp", StringComparison.Ordinal));
            Console.WriteLine(
                $"{one.Name, -34} {one.Format, -14} {greedy, -8} {texts}{(fine ? "" : note is null ? "  DIFFERS" : $"  as noted: {note}")}"
            );
            isSame &= fine || note is not null;
        }

        Console.WriteLine($"with {tool}");
        return isSame;
    }

    /// <summary>One model: what is asked of llama.cpp, and our answers.</summary>
    private sealed record Case(
        string Name, string File, string Format, int[] Prompt, int[] Tokens, float[] Margins, Dictionary<string, int[]> Texts,
        IReadOnlyList<string> Notes, string? Problem)
    {
        private float Ties => Format.EndsWith("gpt2", StringComparison.Ordinal) ? TieOfTableGelu : Tie;

        public static Case Of(string source, string file)
        {
            var name =
                Path.GetFileName(source) == "hf" ? $"gguf/{Path.GetFileName(Path.GetDirectoryName(source))}" : Path.GetFileName(source);
            try
            {
                var written = ModelConversion.Convert(source, file, new ConversionOptions { Type = ElementType.F32 });
                var folder = ModelFolder.Load(file);
                if (!folder.HasTokenizer) WriteAgainWithTokens(folder, file, written.Format.Split(' ')[^1]);
                int[] prompt = [.. Enumerable.Range(0, PromptTokens).Select(i => 3 + ((i * 7919) % (folder.Model.Vocabulary - 4)))];
                var (tokens, margins) = Greedy(folder.Model, prompt);
                var texts = folder.HasTokenizer ? s_texts.ToDictionary(text => text, folder.Tokenizer.EncodeOrdinary) : [];
                return new Case(name, file, written.Format, prompt, tokens, margins, texts, written.Notes, null);
            }
            catch (ArgumentException refusal)
            {
                return new Case(name, file, "-", [], [], [], [], [], refusal.Message);
            }
        }

        /// <summary>llama.cpp does not run models without tokens, so they get some.</summary>
        private static void WriteAgainWithTokens(ModelFolder folder, string file, string architecture)
        {
            var writer = GgufModel.Writer((DecoderOptions)folder.Config.Model, folder.Model, architecture: architecture);
            GgufTokenizer.Write(OwnModels.Tokens(folder.Model.Vocabulary), writer.Metadata);
            writer.Save(file + ".new");
            System.IO.File.Move(file + ".new", file, overwrite: true);
        }

        /// <summary>How many tokens are the same before the first that is not, whether that was a tie, and how many texts.</summary>
        public (string Greedy, string Texts, bool IsFine) Judge(JsonElement answer)
        {
            if (answer.TryGetProperty("error", out var error)) return (error.GetString()!, "", false);
            var theirs = Ints(answer.GetProperty("tokens"));
            var same = Tokens.Zip(theirs).TakeWhile(pair => pair.First == pair.Second).Count();
            var isTie = same < NewTokens && Margins[same] < Ties;
            var texts = Texts
                .Values.Zip(answer.GetProperty("texts").EnumerateArray())
                .Count(pair => pair.First.SequenceEqual(Ints(pair.Second)));
            return (string.Create(CultureInfo.InvariantCulture, $"{same}/{NewTokens}{(isTie ? $", then a tie ({Margins[same]:G2})" : "")}"),
                Texts.Count == 0 ? "none" : $"{texts}/{Texts.Count}", (same == NewTokens || isTie) && texts == Texts.Count);
        }

        private static int[] Ints(JsonElement list) => [.. list.EnumerateArray().Select(item => item.GetInt32())];

        private static (int[] Tokens, float[] Margins) Greedy(SequenceModel model, int[] prompt)
        {
            var (tokens, margins) = (new int[NewTokens], new float[NewTokens]);
            var session = new DecodingSession(model);
            var sequence = session.Add();
            sequence.Read(prompt);
            for (var i = 0; i < NewTokens; i++)
            {
                using var scope = Arena.Current.Scope();
                var logits = session.Step().ToArray();
                tokens[i] = Array.IndexOf(logits, logits.Max());
                margins[i] = logits[tokens[i]] - logits.Where((_, token) => token != tokens[i]).Max();
                sequence.Read(tokens[i]);
            }

            return (tokens, margins);
        }
    }
}
