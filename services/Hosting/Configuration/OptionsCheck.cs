using System.Collections;
using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.EnvironmentVariables;
using Microsoft.Extensions.Configuration.Json;

namespace Nephos.Hosting.Configuration;

/// <summary>Looks over the whole configuration of a process before it starts, and tells every problem at once.</summary>
internal static class OptionsCheck
{
    /// <summary>Read by the platform itself, with names of their own rules.</summary>
    private static readonly string[] Foreign = ["Logging"];

    /// <summary>Settings of the OpenTelemetry SDK and of the runtime have names of their own, without a section.</summary>
    private static readonly string[] ForeignPrefixes = ["OTEL_", "DOTNET_", "ASPNETCORE_"];

    /// <param name="configuration">All of it.</param>
    /// <param name="settings">What the command line adds to files and environment.</param>
    /// <param name="sections">The options of this process.</param>
    /// <param name="elsewhere">Sections of roles that run in other processes.</param>
    public static List<string> Find(
        IConfigurationRoot configuration, IEnumerable<KeyValuePair<string, string?>> settings, IReadOnlyCollection<OptionsSection> sections,
        IEnumerable<string> elsewhere)
    {
        var problems = Told(configuration, settings)
            .Select(setting => FindProblem(setting.Key, setting.Value, setting.IsEnvironment, sections, elsewhere))
            .OfType<string>().Distinct().ToList();
        foreach (var section in sections)
        {
            // A value that cannot be converted would end the binding with the first of them.
            if (!problems.Any(problem => problem.StartsWith($"{section.Name}:", StringComparison.OrdinalIgnoreCase)))
            {
                var options = Activator.CreateInstance(section.Type)!;
                configuration.GetSection(section.Name).Bind(options);
                problems.AddRange(Validate(options, section.Name));
            }
        }
        return problems;
    }

    /// <summary>Every rule that a value or a part of it breaks, led by where it is.</summary>
    public static IEnumerable<string> Validate(object options, string path)
    {
        var results = new List<ValidationResult>();
        Validator.TryValidateObject(options, new ValidationContext(options), results, validateAllProperties: true);
        foreach (var result in results)
        {
            yield return $"{string.Join(", ", result.MemberNames.Select(name => $"{path}:{name}").DefaultIfEmpty(path))}: {result.ErrorMessage}";
        }
        foreach (var property in options.GetType().GetProperties().Where(property => property.GetIndexParameters().Length == 0))
        {
            // Parts are classes of ours; what is in lists are values.
            if (property.PropertyType is { IsClass: true, Namespace: { } names } type && names.StartsWith("Nephos", StringComparison.Ordinal)
                && !typeof(IEnumerable).IsAssignableFrom(type) && property.GetValue(options) is { } part)
            {
                foreach (var problem in Validate(part, $"{path}:{property.Name}"))
                {
                    yield return problem;
                }
            }
        }
    }

    private static string? FindProblem(
        string key, string? value, bool isEnvironment, IReadOnlyCollection<OptionsSection> sections, IEnumerable<string> elsewhere)
    {
        var path = key.Split(':');
        if (sections.FirstOrDefault(section => section.Name.Equals(path[0], StringComparison.OrdinalIgnoreCase)) is { } known)
        {
            // A variable may be called like a section by chance; one with a part is meant for us.
            return path.Length > 1 ? known.FindProblem(path.AsSpan(1), value)
                : isEnvironment || value is null ? null
                : $"{known.Name} is a section and has no value of its own";
        }
        var others = elsewhere.Concat(Foreign).ToArray();
        return isEnvironment || others.Contains(path[0], StringComparer.OrdinalIgnoreCase)
            || Array.Exists(ForeignPrefixes, prefix => path[0].StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
            ? null
            : $"There is no section '{path[0]}'; {Nearest.Hint(path[0], [.. sections.Select(section => section.Name), .. others])}";
    }

    /// <summary>Each setting with a value, from where people write them.</summary>
    private static IEnumerable<(string Key, string? Value, bool IsEnvironment)> Told(
        IConfigurationRoot configuration, IEnumerable<KeyValuePair<string, string?>> settings)
    {
        foreach (var provider in configuration.Providers.Where(provider => provider is JsonConfigurationProvider or EnvironmentVariablesConfigurationProvider))
        {
            foreach (var key in KeysOf(provider, null))
            {
                if (provider.TryGet(key, out var value))
                {
                    yield return (key, value, provider is EnvironmentVariablesConfigurationProvider);
                }
            }
        }
        foreach (var (key, value) in settings)
        {
            yield return (key, value, false);
        }
    }

    private static IEnumerable<string> KeysOf(IConfigurationProvider provider, string? parent)
    {
        foreach (var name in provider.GetChildKeys([], parent).Distinct(StringComparer.OrdinalIgnoreCase))
        {
            var key = parent is null ? name : ConfigurationPath.Combine(parent, name);
            yield return key;
            foreach (var below in KeysOf(provider, key))
            {
                yield return below;
            }
        }
    }
}
