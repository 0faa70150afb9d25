using System.Collections;
using System.ComponentModel;
using System.Reflection;

namespace Nephos.Hosting.Configuration;

/// <summary>A section of the configuration, and the class its values are bound to.</summary>
internal sealed record OptionsSection(string Name, Type Type)
{
    /// <summary>What is wrong with one setting: its name, or a value that its type does not take. Null when nothing is.</summary>
    /// <param name="path">The names below the section.</param>
    /// <param name="value">What is set.</param>
    public string? FindProblem(ReadOnlySpan<string> path, string? value)
    {
        var (type, known) = (Type, Name);
        foreach (var name in path)
        {
            if (ItemOf(type) is { } item)
            {
                if (!IsDictionary(type) && !uint.TryParse(name, out _))
                {
                    return $"{known} is a list: its parts are named 0, 1, 2 and so on, not '{name}'";
                }
                (type, known) = (item, $"{known}:{name}");
                continue;
            }
            if (IsValue(type))
            {
                return $"{known} is one value and has no part '{name}'";
            }
            var settings = SettingsOf(type);
            if (Array.Find(settings, setting => setting.Name.Equals(name, StringComparison.OrdinalIgnoreCase)) is not { } found)
            {
                return $"{known} has no setting '{name}'; {Nearest.Hint(name, [.. settings.Select(setting => setting.Name)])}";
            }
            (type, known) = (found.PropertyType, $"{known}:{found.Name}");
        }
        return string.IsNullOrEmpty(value) && !IsValue(type) || value is null ? null
            : !IsValue(type) ? $"{known} is no single value; its parts are set, as in {known}:{(IsDictionary(type) ? "NAME" : ItemOf(type) is null ? SettingsOf(type)[0].Name : "0")}"
            : CanConvert(value, type) ? null
            : $"{known} cannot be '{value}': it is {Describe(type)}";
    }

    private static PropertyInfo[] SettingsOf(Type type) =>
        [.. type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.SetMethod is { IsPublic: true })];

    private static bool IsDictionary(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Dictionary<,>);

    /// <summary>What a list or dictionary holds; null for anything else.</summary>
    private static Type? ItemOf(Type type) =>
        type == typeof(string) || !typeof(IEnumerable).IsAssignableFrom(type) ? null
        : type.IsArray ? type.GetElementType()
        : type.GetGenericArguments()[^1];

    private static bool IsValue(Type type) => TypeDescriptor.GetConverter(type).CanConvertFrom(typeof(string));

    private static bool CanConvert(string value, Type type)
    {
        try
        {
            TypeDescriptor.GetConverter(type).ConvertFromInvariantString(value);
            return true;
        }
        catch (Exception exception) when (exception is FormatException or ArgumentException or NotSupportedException or OverflowException)
        {
            return false;
        }
    }

    private static string Describe(Type type)
    {
        var plain = Nullable.GetUnderlyingType(type) ?? type;
        return plain switch
        {
            { IsEnum: true } => $"one of {string.Join(", ", Enum.GetNames(plain))}",
            _ when plain == typeof(bool) => "true or false",
            _ when plain == typeof(TimeSpan) => "a time as [days.]hours:minutes:seconds",
            _ when plain == typeof(int) || plain == typeof(long) => "a whole number",
            _ when plain == typeof(double) => "a number",
            _ when plain == typeof(Uri) => "an address",
            _ => plain.Name,
        };
    }
}
