using Tessera.Models;
using Tessera.Nn;
using Tessera.Text.Templates;
using Tessera.Text.Tokenizers;
using Tessera.Training.Data;

namespace Tessera.Training;

/// <summary>How the conversations of a run become texts.</summary>
internal static class RunChat
{
    /// <summary>ChatML with the model's own tokens for the beginning and end of a text in the place of its
    /// <c>&lt;|im_start|&gt;</c> and <c>&lt;|im_end|&gt;</c>: generation ends where an answer does, whatever the tokenizer.</summary>
    public const string UsualTemplate =
        "{%- for message in messages -%}{{ (bos_token or '') + message['role'] + '\\n' + message['content'] + (eos_token or '') + '\\n' }}"
        + "{%- endfor -%}{%- if add_generation_prompt -%}{{ (bos_token or '') + 'assistant\\n' }}{%- endif -%}";

    private const string Key = "tokenizer.chatTemplate";

    /// <summary>A format with the template that the recipe names, the one it has, or where there are conversations and no template, the
    /// usual one.</summary>
    /// <exception cref="RecipeException">The recipe's template is missing or damaged.</exception>
    public static PromptFormat Format(PromptFormat format, Tokenizer tokenizer, Recipe recipe, string folder, RunCorpora corpora)
    {
        if (recipe.Tokenizer.ChatTemplate is null && !corpora.HaveConversations) return format;
        var template = recipe.Tokenizer.ChatTemplate is { } file ? Read(Path.GetFullPath(file, Path.GetFullPath(folder)))
            : format.ChatTemplate ?? ChatTemplate.Parse(UsualTemplate);
        return format.WithChatTemplate(template, tokenizer);
    }

    private static ChatTemplate Read(string path)
    {
        if (!File.Exists(path)) throw new RecipeException(Key, $"is '{path}', which does not exist; allowed: a file with a chat template");
        try
        {
            return ChatTemplate.Parse(File.ReadAllText(path));
        }
        catch (TemplateException error)
        {
            throw new RecipeException(Key, $"is '{path}', which is no chat template: {error.Message}");
        }
    }
}
