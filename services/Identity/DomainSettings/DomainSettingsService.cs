using System.Text.Json;
using System.Text.Json.Nodes;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Identity.DomainSettings;

/// <summary>What administrators can do with the settings of a domain.</summary>
internal sealed class DomainSettingsService(DirectoryView directory, IdentityWrites writes, SettingsCatalog catalog)
{
    public const int MaxBytes = 16 * 1024;

    private const string Kind = "domain config", Action = "identity:domain_config";

    /// <summary>What a domain has without settings of its own.</summary>
    /// <exception cref="FaultException">NotFound: there is no such group or option. Forbidden.</exception>
    public JsonObject GetDefault(OperationContext operation, string? group, string? option)
    {
        // How passwords must be is no secret: whoever changes one is told.
        if (group == SettingsCatalog.SecurityCompliance)
        {
            Policy.RequireOwnProof(operation);
        }
        else
        {
            Policy.RequireReader(operation, Action);
        }
        if (group is null)
        {
            return new JsonObject(catalog.Defaults.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value.DeepClone())));
        }
        return Part(new JsonObject { [group] = catalog.Defaults.GetValueOrDefault(group)?.DeepClone() }, group, option, "default");
    }

    /// <summary>The settings of a domain, or the group or option of them that is asked for; secrets are left out.</summary>
    public async Task<JsonObject> GetAsync(
        OperationContext operation, string domainId, string? group, string? option, CancellationToken cancellationToken)
    {
        if (group == SettingsCatalog.SecurityCompliance)
        {
            return GetDefault(operation, group, option);
        }
        Policy.RequireReader(operation, Action);
        await RequireDomainAsync(domainId, cancellationToken);
        var settings = await directory.Store.GetAsync(IdentityTables.DomainSettings, domainId, cancellationToken) ??
            throw Faults.NotFound(Kind, domainId);
        return Part(WithoutSecrets(settings.Groups), group, option, domainId);
    }

    /// <summary>New settings in place of those there were.</summary>
    /// <returns>The settings, and whether there were none before.</returns>
    public async Task<(JsonObject Groups, bool IsNew)> ReplaceAsync(
        OperationContext operation, string domainId, JsonObject groups, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, Action);
        await RequireDomainAsync(domainId, cancellationToken);
        Check(groups);
        return await writes.RunAsync(
            async change =>
            {
                var before = await change.State.GetAsync(IdentityTables.DomainSettings, domainId, cancellationToken);
                change.State.Put(IdentityTables.DomainSettings, new SettingsOfDomain(domainId, groups));
                return (WithoutSecrets(groups), before is null);
            },
            cancellationToken);
    }

    /// <summary>Sets options beside those there are.</summary>
    /// <param name="operation">An administrator.</param>
    /// <param name="domainId">Has settings already.</param>
    /// <param name="groups">What to set, by group.</param>
    /// <param name="cancellationToken">Gives up before the commit.</param>
    public async Task<JsonObject> UpdateAsync(OperationContext operation, string domainId, JsonObject groups, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, Action);
        await RequireDomainAsync(domainId, cancellationToken);
        Check(groups);
        return await ChangeAsync(
            domainId,
            merged =>
            {
                foreach (var (group, options) in groups)
                {
                    var target = (JsonObject)(merged[group] ??= new JsonObject());
                    foreach (var (option, value) in (JsonObject)options!)
                    {
                        target[option] = value?.DeepClone();
                    }
                }
            },
            cancellationToken);
    }

    public async Task DeleteAsync(OperationContext operation, string domainId, string? group, string? option, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, Action);
        await RequireDomainAsync(domainId, cancellationToken);
        await ChangeAsync(
            domainId,
            groups =>
            {
                if (group is not null)
                {
                    Part(groups, group, option, domainId);
                }
                switch (group, option)
                {
                    case (null, _):
                        groups.Clear();
                        break;
                    case (_, null):
                        groups.Remove(group);
                        break;
                    default:
                        ((JsonObject)groups[group]!).Remove(option);
                        break;
                }
            },
            cancellationToken);
    }

    private static JsonObject Part(JsonObject groups, string? group, string? option, string owner)
    {
        if (group is null)
        {
            return groups;
        }
        if (groups[group] is not JsonObject options || (option is not null && !options.ContainsKey(option)))
        {
            throw Faults.NotFound(Kind, $"{owner}: {group}{(option is null ? "" : "." + option)}");
        }
        return option is null
            ? new JsonObject { [group] = options.DeepClone() }
            : new JsonObject { [option] = options[option]?.DeepClone() };
    }

    private static JsonObject WithoutSecrets(JsonObject groups)
    {
        var visible = (JsonObject)groups.DeepClone();
        foreach (var (group, value) in visible)
        {
            var options = value!.AsObject();
            foreach (var option in options.Select(pair => pair.Key).Where(option => SettingsCatalog.IsSecret(group, option)).ToList())
            {
                options.Remove(option);
            }
        }
        return visible;
    }

    private void Check(JsonObject groups)
    {
        if (groups.Count == 0)
        {
            throw Faults.Invalid("config", "names no option");
        }
        if (groups.ToJsonString().Length > MaxBytes)
        {
            throw Faults.Invalid("config", $"at most {MaxBytes} bytes are allowed");
        }
        foreach (var (group, value) in groups)
        {
            if (value is not JsonObject options)
            {
                throw Faults.Invalid(group, "must be an object of options");
            }
            foreach (var (option, setting) in options)
            {
                if (!catalog.IsSettable(group, option))
                {
                    throw IdentityFaults.Refused($"The option {option} in group {group} cannot be set for a domain.");
                }
                if (setting?.GetValueKind() is JsonValueKind.Object or JsonValueKind.Array)
                {
                    throw Faults.Invalid($"{group}.{option}", "must be a text, a number, true or false");
                }
            }
        }
    }

    /// <summary>Deletes the settings when nothing is left of them.</summary>
    private async Task<JsonObject> ChangeAsync(string domainId, Action<JsonObject> body, CancellationToken cancellationToken) =>
        await writes.RunAsync(
            async change =>
            {
                var before = await change.State.GetAsync(IdentityTables.DomainSettings, domainId, cancellationToken) ??
                    throw Faults.NotFound(Kind, domainId);
                var groups = (JsonObject)before.Groups.DeepClone();
                body(groups);
                if (groups.Count == 0)
                {
                    change.State.Delete<SettingsOfDomain>(IdentityTables.DomainSettings, domainId);
                }
                else
                {
                    change.State.Put(IdentityTables.DomainSettings, before with { Groups = groups });
                }
                return WithoutSecrets(groups);
            },
            cancellationToken);

    private async Task RequireDomainAsync(string domainId, CancellationToken cancellationToken)
    {
        if (await directory.FindDomainAsync(domainId, cancellationToken) is null)
        {
            throw Faults.NotFound("domain", domainId);
        }
    }
}
