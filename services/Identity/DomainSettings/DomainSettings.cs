using System.Text.Json.Nodes;

namespace Nephos.Identity.DomainSettings;

/// <summary>Settings of one domain: groups of options.</summary>
internal sealed record SettingsOfDomain(string DomainId, JsonObject Groups);

/// <summary>The options a domain may have settings for, with what holds without any.</summary>
/// <remarks>
/// They are kept and answered for the tools that manage them. Users come from the directory itself: a domain whose driver is set to
/// ldap is served as before. The rules for passwords are those of the cloud, and cannot be set for a domain.
/// </remarks>
internal sealed class SettingsCatalog(IdentityOptions options)
{
    public const string Identity = "identity", Ldap = "ldap", SecurityCompliance = "security_compliance";

    private static readonly string[] Secrets = ["password"];

    private readonly Dictionary<string, JsonObject> _defaults = new(StringComparer.Ordinal)
    {
        [Identity] = new JsonObject { ["driver"] = "sql", ["list_limit"] = null },
        [Ldap] = LdapDefaults(),
        [SecurityCompliance] = new JsonObject
        {
            ["password_regex"] = options.PasswordPattern.Length > 0 ? options.PasswordPattern : null,
            ["password_regex_description"] = options.PasswordPatternDescription.Length > 0 ? options.PasswordPatternDescription : null,
        },
    };

    public IReadOnlyDictionary<string, JsonObject> Defaults => _defaults;

    public static bool IsSecret(string group, string option) => group == Ldap && Secrets.Contains(option);

    /// <summary>Whether a domain may set it.</summary>
    public bool IsSettable(string group, string option) =>
        group is Identity or Ldap && (IsSecret(group, option) || _defaults[group].ContainsKey(option));

    private static JsonObject LdapDefaults() => new()
    {
        ["url"] = "ldap://localhost",
        ["user"] = null,
        ["suffix"] = "cn=example,cn=com",
        ["query_scope"] = "one",
        ["page_size"] = 0,
        ["alias_dereferencing"] = "default",
        ["chase_referrals"] = null,
        ["use_tls"] = false,
        ["tls_cacertfile"] = null,
        ["tls_cacertdir"] = null,
        ["tls_req_cert"] = "demand",
        ["connection_timeout"] = -1,
        ["user_tree_dn"] = null,
        ["user_filter"] = null,
        ["user_objectclass"] = "inetOrgPerson",
        ["user_id_attribute"] = "cn",
        ["user_name_attribute"] = "sn",
        ["user_description_attribute"] = "description",
        ["user_mail_attribute"] = "mail",
        ["user_pass_attribute"] = "userPassword",
        ["user_enabled_attribute"] = "enabled",
        ["user_enabled_mask"] = 0,
        ["user_enabled_default"] = "True",
        ["user_enabled_invert"] = false,
        ["user_enabled_emulation"] = false,
        ["user_enabled_emulation_dn"] = null,
        ["group_tree_dn"] = null,
        ["group_filter"] = null,
        ["group_objectclass"] = "groupOfNames",
        ["group_id_attribute"] = "cn",
        ["group_name_attribute"] = "ou",
        ["group_desc_attribute"] = "description",
        ["group_member_attribute"] = "member",
        ["group_members_are_ids"] = false,
    };
}
